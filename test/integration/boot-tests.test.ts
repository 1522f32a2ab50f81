import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPath, imageName } from '../../src/base/brand.ts';
import { ConfigurationError } from '../../src/base/errors.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { buildable } from '../../src/config/buildable.ts';
import { loadProject } from '../../src/config/project.ts';
import { withTestSettings } from '../../src/config/tests/apply.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';
import type { DefinedTestReport } from '../../src/qemu/testing/defined-test.ts';
import { runDefinedTest } from '../../src/qemu/testing/defined-test.ts';
import { copySparsely } from '../../src/qemu/sparse-copy.ts';
import type { VmHost } from '../../src/qemu/vm.ts';
import type { BootSectorEnd } from '../helpers/boot-sector.ts';
import { bootSector } from '../helpers/boot-sector.ts';
import { project } from '../helpers/project.ts';
import { vmTools } from '../helpers/tools.ts';

let directory: TemporaryDirectory;
let host: VmHost;

beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-boot-tests-');
  host = { tools: await vmTools(), events: silentEvents, scratch: directory.path };
});
afterAll(() => directory[Symbol.asyncDispose]());

interface Guest {
  readonly text: string;
  readonly end?: BootSectorEnd;
}

/** Runs a test with a guest that is a boot sector: it has a console and nothing else. */
async function run(
  test: string,
  { text, end = 'hang' }: Guest,
  signal = new AbortController().signal,
): Promise<DefinedTestReport> {
  await using files = await project({
    'mkimg.conf': '[Output]\nOutput=guest\n[Runtime]\nKVM=no\nRAM=64M\nRuntimeNetwork=none\n',
    // No systemd, hence no agent.
    'guest.manifest': JSON.stringify({ packages: [{ name: 'busybox', version: '1' }] }),
    'mkimg.tests/a.conf': test,
  });
  const loaded = await loadProject({
    directory: files.path,
    assignments: [],
    environment: {},
    readsTests: true,
  });
  if (!loaded.ok) throw new ConfigurationError(loaded.diagnostics);
  const { main, tests } = loaded.value;
  const [definition] = tests.get(imageName('main')) ?? [];
  if (definition === undefined) throw new Error('no test');
  const disk = hostPath(join(directory.path, 'disk.raw'));
  await writeFile(disk, bootSector(text, end));
  return await runDefinedTest(
    {
      definition,
      image: 'main',
      inputs: {
        config: buildable(withTestSettings(main, definition).config),
        machine: x86_64,
        source: { firmware: 'none', disk, commandLine: [] },
        extraArguments: [],
        workingDirectory: files.path,
        runProgram: () => Promise.reject(new Error('no program runs here')),
      },
      others: new Map(),
      stateDirectory: directory.path,
      timeoutSeconds: undefined,
      keepsDisks: false,
      results: hostPath(join(directory.path, 'results')),
      signal,
    },
    host,
  );
}

const step = (text: string): string => `[Step]\n${text}\n`;
const started = step('Boot=started');

/** The verdict in one word, and the step that it came from. */
function outcome({ verdict, steps }: DefinedTestReport): readonly [string, string | undefined] {
  const failed = steps.find(({ passed }) => !passed)?.step;
  return [verdict.outcome === 'passed' ? 'passed' : verdict.reason, failed];
}

describe('a test of a guest with a console alone', () => {
  it('does its steps in order, also on a second machine', async () => {
    const report = await run(
      [
        started,
        step('Console=^one$'),
        step('Console=^t.o$'),
        step('Type=root'),
        step('Keys=ctrl-alt-f2 ret'),
        step('Screenshot=screen'),
        step('Unplug=data'),
        step('Power=cut'),
        step('Boot=up'),
        step('Console=login:'),
        '[Runtime]\nDrives=data:1M\n[Test]\nTimeout=10s\n',
      ].join(''),
      { text: 'one\r\ntwo\r\nguest login: ' },
    );
    expect(outcome(report), JSON.stringify(report.verdict)).toEqual(['passed', undefined]);
    expect(report.steps.map(({ step: name }) => name)).toEqual([
      ...['Boot=started', 'Console=^one$', 'Console=^t.o$', 'Type=root', 'Keys=ctrl-alt-f2 ret'],
      ...['Screenshot=screen', 'Unplug=data', 'Power=cut', 'Boot=up', 'Console=login:', 'Power=off'],
    ]);
    expect(report.boots).toHaveLength(2);
    expect(report.imageSize).toMatchObject({ apparent: 2 ** 20 });
    const result = (name: string): Promise<string> => readFile(join(report.results, name), 'utf8');
    expect(JSON.parse(await result('report.json'))).toEqual(JSON.parse(JSON.stringify(report)));
    expect((await result('console.log')).match(/login/g)).toHaveLength(2);
    const png = await readFile(join(report.results, 'screen.png'));
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect(await result('qemu-command')).toMatch(/^qemu-system-x86_64 /);
  });

  it('may still write the line that is waited for', async () => {
    const report = await run(started + step('Console=three\nTimeout=1s'), { text: 'one\r\ntwo\r\n' });
    expect(outcome(report)).toEqual(['timeout', 'Console=three']);
    expect(JSON.stringify(report.verdict)).toMatch(/Console=three was not done within the \d+ seconds"/);
  });

  it('does not find a line twice', async () => {
    const again = started + step('Console=one') + step('Console=one\nTimeout=1s');
    expect(outcome(await run(again, { text: 'one\r\n' }))).toEqual(['timeout', 'Console=one']);
  });

  it.each<readonly [string, string, Guest]>([
    ['kernel-panic', 'Console=never', { text: 'Kernel panic - not syncing: x\r\n' }],
    ['early-power-off', 'Console=never', { text: 'x\r\n', end: 'power-off' }],
    ['guest-restarted', 'Console=never', { text: 'x\r\n', end: 'reset' }],
    ['emergency-mode', 'Console=never', { text: 'You are in emergency mode.\r\n' }],
  ])('ends with %s', async (reason, name, guest) => {
    const report = await run(started + step(name), guest);
    expect(outcome(report)).toEqual([reason, name]);
    expect(report.consoleTail.length).toBeGreaterThan(0);
  });

  it('has a time of its own for the whole of it', async () => {
    const report = await run(`[Test]\nTimeout=1s\n${step('Boot=up')}`, { text: 'starting\r\n' });
    expect(outcome(report)).toEqual(['timeout', 'Boot=up']);
    expect(report.timeScale).toBeGreaterThanOrEqual(2);
  });

  it('is over when the user ends it', async () => {
    const over = new AbortController();
    const ended = run(started + step('Console=never'), { text: 'x' }, over.signal);
    setTimeout(() => over.abort(), 500);
    expect(outcome(await ended)[0]).toBe('interrupted');
  });

  it.each(['Command=true', 'File=/etc/os-release', 'WaitForUnit=a.service', 'Power=reboot', 'Port=22'])(
    'is refused before it starts for %s',
    async (name) => {
      await expect(run(step(name), { text: 'x' })).rejects.toThrow(`${name} needs a`);
    },
  );
});

it('a copy of a disk is sparse, and as large as it is asked for', async () => {
  const [from, to] = ['from.raw', 'to.raw'].map((name) => hostPath(join(directory.path, name)));
  if (from === undefined || to === undefined) throw new Error('no names');
  const content = Buffer.alloc(5 * 2 ** 20);
  content.write('begin', 0);
  content.write('end', content.length - 3);
  await writeFile(from, content);
  await copySparsely(from, to, 8 * 2 ** 20);
  const copied = await readFile(to);
  expect(copied.length).toBe(8 * 2 ** 20);
  expect(copied.subarray(0, content.length).equals(content)).toBe(true);
  expect((await stat(to)).blocks * 512).toBeLessThanOrEqual((await stat(from)).blocks * 512);
});
