/** Boot tests of Linux guests: each kind of step, each way to fail with what is kept of it, and a guest that means ill. */
import { spawnSync } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { DefinedTestReport } from '../../src/qemu/testing/defined-test.ts';
import { mkimg } from '../helpers/cli.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';
import { vmTools } from '../helpers/tools.ts';

const repository = resolve(import.meta.dirname, '../..');
const guest = join(repository, 'test/guests/steps');

let output: TemporaryDirectory;

function argvOf(...words: readonly string[]): readonly string[] {
  return ['-C', guest, '--output-directory', output.path, ...words];
}

beforeAll(async () => {
  output = await temporaryDirectory('/var/tmp', 'mkimg-steps-');
  const { code, stderr } = await mkimg(argvOf('build'));
  expect(code, stderr).toBe(0);
});
afterAll(() => output[Symbol.asyncDispose]());

interface Answer {
  readonly passed: boolean;
  readonly tests: readonly DefinedTestReport[];
}

/** Runs tests two at a time. */
async function run(names: readonly string[], ...flags: readonly string[]): Promise<Answer> {
  const { code, stdout, stderr } = await mkimg(argvOf('--json', 'test', '--jobs=2', ...flags, ...names));
  const answer = JSON.parse(stdout) as Answer;
  expect(code, stderr).toBe(answer.passed ? 0 : 1);
  expect(answer.tests.map(({ name }) => name).sort()).toEqual([...names].sort());
  return answer;
}

function kept(test: string, name: string): Promise<string> {
  return readFile(join(output.path, 'test-results', test, name), 'utf8');
}

describe('tests that pass', () => {
  it('do all steps, restart, lose their power, and keep disks, TPM and firmware from one machine to the next', async () => {
    const { tests } = await run(['steps', 'installation'], '--keep');
    for (const { name, verdict, steps } of tests) {
      expect(verdict, `${name}: ${JSON.stringify(steps.at(-1))}`).toEqual({ outcome: 'passed' });
    }
    const boots = new Map(tests.map((test) => [test.name, test.boots]));
    for (const count of [boots.get('steps'), boots.get('installation')]) {
      expect(count?.map(({ systemState }) => systemState)).toEqual(['running', 'running', 'running']);
    }
    // The first start, the restart, and the start after the power cut.
    expect(boots.get('steps')?.every(({ secondsToReport = 0 }) => secondsToReport > 1)).toBe(true);
    const screen = await readFile(join(output.path, 'test-results/steps/screen.png'));
    expect(coloursOf(screen)).toBeGreaterThan(1);
    const disks = await readdir(join(output.path, 'test-results/installation'));
    expect(disks).toEqual(
      expect.arrayContaining(['mkimg.raw', 'mkimg1.raw', 'target.raw', 'timeline-3.svg']),
    );
  });
});

/** How many different bytes the picture data of a PNG file has, the filters' own bytes included. */
function coloursOf(png: Buffer): number {
  expect(png.subarray(1, 4).toString()).toBe('PNG');
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  return new Set(inflateSync(Buffer.concat(parts))).size;
}

describe('tests that fail', () => {
  const failing = ['broken-unit', 'early-off', 'hang', 'no-initrd', 'no-network', 'no-root', 'panic'];
  let reports: ReadonlyMap<string, DefinedTestReport>;
  beforeAll(async () => {
    const { tests } = await run(failing, '--junit', join(output.path, 'junit.xml'));
    reports = new Map(tests.map((test) => [test.name, test]));
  });

  it.each([
    ['broken-unit', 'units-failed', /^failed unit: broken\.service$/],
    ['early-off', 'early-power-off', /switched itself off before/],
    ['hang', 'timeout', /did not settle within \d+ seconds/],
    ['no-initrd', 'kernel-panic', /Unable to mount root fs/],
    ['no-network', 'timeout', /^Port=8080 was not done within the \d+ seconds$/],
    ['no-root', 'timeout', /did not finish within \d+ seconds/],
    ['panic', 'kernel-panic', /sysrq triggered crash/],
  ])('%s: the verdict is %s', async (name, reason, message) => {
    const report = reports.get(name);
    expect(report?.verdict).toMatchObject({ outcome: 'failed', reason });
    expect(report?.verdict).toHaveProperty('message', expect.stringMatching(message));
    expect(report?.steps.at(-1)?.passed).toBe(false);
    const results = await readdir(join(output.path, 'test-results', name));
    expect(results).toEqual(
      expect.arrayContaining([
        ...['console.log', 'qemu-command', 'report.json'],
        // Of a machine that is off there is no picture.
        ...(name === 'early-off' ? [] : ['screenshot.png']),
      ]),
    );
    expect(JSON.parse(await kept(name, 'report.json'))).toEqual(report);
    expect((await kept(name, 'console.log')).length).toBeGreaterThan(0);
  });

  it('ends within its limit what hangs', () => {
    // The probe of the emulator, the start of QEMU and the questions to the guest come on top.
    for (const [name, limit] of [
      ['hang', 30],
      ['no-root', 15],
    ] as const) {
      const { seconds = 0, timeScale = 0 } = reports.get(name) ?? {};
      expect(seconds).toBeGreaterThanOrEqual(limit * timeScale);
      expect(seconds).toBeLessThan((limit + 20) * timeScale + 20);
    }
  });

  it('keeps the logs of a guest that still answers', async () => {
    expect(await kept('broken-unit', 'units.log')).toMatch(/broken\.service.*failed/);
    expect(await kept('broken-unit', 'journal.log')).toMatch(/why it failed/);
    expect(await kept('hang', 'units.log')).toMatch(/endless\.service +start running/);
    expect(await kept('no-network', 'journal.log')).toMatch(/Listening on greeting\.socket/);
    expect(reports.get('broken-unit')?.boots[0]?.failedUnits).toMatchObject([
      { unit: 'broken.service', log: expect.arrayContaining(['why it failed']) as unknown },
    ]);
  });

  it('is told in the form of JUnit', async () => {
    const junit = await readFile(join(output.path, 'junit.xml'), 'utf8');
    expect(junit).toMatch(/tests="7" failures="7" errors="0" skipped="0"/);
    expect(junit).toMatch(/<failure[^>]*type="kernel-panic"/);
  });
});

it.skipIf(!isRoot)('an ordinary user tests what root has built (needs root to become one)', async () => {
  await using scratch = await temporaryDirectory('/var/tmp', 'mkimg-steps-user-');
  const tools = await vmTools();
  const binds = {
    mkimg: repository,
    output: output.path,
    ...(tools.kind === 'tree' ? { tools: tools.path } : {}),
  };
  const prefix = await ordinaryUserPrefix({ scratch: scratch.path, hasSubordinateIds: false, binds });
  const home = join(scratch.path, 'home');
  spawnSync('chown', ['--recursive', '--reference', home, output.path]);
  const argv = [
    ...['-C', join(scratch.path, 'mkimg/test/guests/steps')],
    ...['--output-directory', join(scratch.path, 'output')],
    ...(tools.kind === 'tree' ? ['--tools-tree', join(scratch.path, 'tools')] : []),
    ...['--json', 'test', '--jobs=2', 'no-initrd', 'short'],
  ];
  const program = join(scratch.path, 'mkimg/dist/cli/main.js');
  const { code, stdout, stderr } = await mkimg(argv, { prefix, program });
  expect(code, stderr).toBe(1);
  const { tests } = JSON.parse(stdout) as Answer;
  expect(
    tests.map(({ name, passed }) => [name, passed]),
    stdout,
  ).toEqual([
    ['no-initrd', false],
    ['short', true],
  ]);
});

it('a guest that floods its channel and its console with all that a terminal could take amiss harms nobody', async () => {
  const { code, stdout, stderr } = await mkimg(argvOf('test', 'hostile'));
  expect(code, stdout + stderr).toBe(0);
  expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  const report = JSON.parse(await kept('hostile', 'report.json')) as DefinedTestReport;
  expect(report.boots).toMatchObject([{ systemState: 'running', failedUnits: [] }]);
  const log = join(output.path, 'test-results/hostile/console.log');
  expect((await stat(log)).size).toBeGreaterThan(500_000);
});
