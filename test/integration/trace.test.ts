/** Traces of real runs: their form, and files that are no files. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench } from '../helpers/image-bench.ts';
import { smallImage, smallImageFiles } from '../helpers/killed-builds.ts';

let bench: ImageBench;
let project: HostPath;

beforeAll(async () => {
  bench = await imageBench();
  project = await bench.project(smallImage('trace'), smallImageFiles);
});
afterAll(() => bench[Symbol.asyncDispose]());

interface Entry {
  readonly name: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly cat?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What the Trace Event Format demands of the kinds of entries that are in use. */
function parseTrace(text: string): readonly Entry[] {
  const { traceEvents, displayTimeUnit } = JSON.parse(text) as Record<string, unknown>;
  expect(displayTimeUnit).toBe('ms');
  expect(Array.isArray(traceEvents)).toBe(true);
  const entries = traceEvents as readonly Entry[];
  for (const entry of entries) {
    expect(['X', 'i', 'M']).toContain(entry.ph);
    expect(typeof entry.name).toBe('string');
    for (const number of [entry.ts, entry.pid, entry.tid]) expect(Number.isSafeInteger(number)).toBe(true);
    expect(Number.isSafeInteger(entry.dur)).toBe(entry.ph === 'X');
    expect(entry.ts).toBeGreaterThanOrEqual(0);
  }
  return entries;
}

it('a build leaves a trace of its steps and tools', async () => {
  const path = join(bench.directory, 'trace.json');
  await writeFile(path, 'x'.repeat(1_000_000));
  const { code, stderr } = await bench.run(project, ['build', '--trace', path]);
  expect(code, stderr).toBe(0);
  const entries = parseTrace(await readFile(path, 'utf8'));
  const named = (name: string): Entry | undefined => entries.find((entry) => entry.name === name);
  const run = named('mkimg');
  const pack = named('main: pack tar');
  const tar = entries.find(
    ({ name, args }) => name === 'tar' && String(args['command']).includes('--create'),
  );
  expect(run?.cat).toBe('run');
  expect(pack?.cat).toBe('step');
  expect(tar).toMatchObject({ cat: 'tool', tid: pack?.tid });
  expect(tar?.ts).toBeGreaterThanOrEqual(pack?.ts ?? Infinity);
  expect(entries.filter(({ name }) => name === 'thread_name').length).toBeGreaterThan(1);
  expect(await bench.leftovers()).toEqual([]);
});

it('a run without a step leaves one too', async () => {
  const path = join(bench.directory, 'quiet.json');
  const { code } = await bench.run(project, ['build', '--trace', path]);
  expect(code).toBe(0);
  expect(parseTrace(await readFile(path, 'utf8')).map(({ name }) => name)).toContain('mkimg');
});

it('devices stay devices, and pipes get all of it', async () => {
  const device = await bench.run(project, ['build', '--trace', '/dev/null']);
  expect(device.code, device.stderr).toBe(0);
  expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
  const full = await bench.run(project, ['build', '--trace', '/dev/full']);
  expect(full.code).toBe(0);
  expect(full.stderr).toContain('warning: the trace could not be written: ENOSPC');

  const pipe = join(bench.directory, 'pipe');
  await new Promise((done) => spawn('mkfifo', [pipe]).on('close', done));
  const unread = await bench.run(project, ['build', '--trace', pipe]);
  expect(unread.code).toBe(2);
  expect(unread.stderr).toContain(`cannot write a trace to ${pipe}`);
  const reader = spawn('cat', [pipe]);
  let text = '';
  reader.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const ended = new Promise((done) => reader.on('close', done));
  await new Promise((done) => setTimeout(done, 300));
  const { code, stderr } = await bench.run(project, ['build', '-f', '--trace', pipe]);
  expect(code, stderr).toBe(0);
  await ended;
  expect(parseTrace(text).map(({ name }) => name)).toContain('main: pack tar');
});

it('a place that cannot be written to is refused before anything runs', async () => {
  const directory = join(bench.directory, 'folder');
  await mkdir(directory);
  for (const path of [directory, '/nonexistent/trace.json']) {
    const result = await bench.run(project, ['build', '-f', '--trace', path]);
    expect(result.code).toBe(2);
    expect(result.events.filter(({ type }) => type === 'step-started')).toEqual([]);
  }
});
