import { describe, expect, it } from 'vitest';
import type { ImageName } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { ConfigurationError } from '../../../src/base/errors.ts';
import { consoleUse } from '../../../src/cli/qemu.ts';
import { machineNameOf } from '../../../src/cli/running/names.ts';
import { ScreenKeeper } from '../../../src/cli/terminal.ts';
import { parseJobs, parseTimeout } from '../../../src/cli/test.ts';
import { definedReportText, reportText } from '../../../src/cli/testing/report-text.ts';
import { listJson, listText, selectTests } from '../../../src/cli/testing/selection.ts';
import type { BootTestDefinition } from '../../../src/config/project.ts';
import type { DefinedTestReport } from '../../../src/qemu/testing/defined-test.ts';
import type { ImageTestReport } from '../../../src/qemu/test-image.ts';

const passed: ImageTestReport = {
  image: 'debian',
  passed: true,
  verdict: { outcome: 'passed' },
  channel: 'unit',
  accelerator: 'tcg',
  systemState: 'running',
  failedUnits: [],
  phases: { kernel: 1234, userspace: 20000, total: 21234 },
  slowestUnits: [],
  secondsToReport: 36.6,
  seconds: 43.9,
  consoleTail: ['reboot: Power down'],
  commandLine: ['qemu-system-x86_64'],
  results: hostPath('/out/test-results/debian'),
};

describe('the report of a test', () => {
  it('is short for a boot that passed', () => {
    expect(reportText(passed).split('\n')).toEqual([
      'debian: boot test passed in 43.9 s (software emulation)',
      '  kernel        1.2 s',
      '  userspace    20.0 s',
      '  total        21.2 s',
      '  results in /out/test-results/debian',
    ]);
  });

  it('shows what a failed one left, and nothing that could act on the terminal', () => {
    const text = reportText({
      ...passed,
      passed: false,
      accelerator: 'kvm',
      verdict: { outcome: 'failed', reason: 'units-failed', message: 'failed unit: a.service' },
      failedUnits: [{ unit: 'a.service', log: ['no\u001b[2J way'] }],
      phases: {},
    });
    expect(text.split('\n')).toEqual([
      'last lines of the console:',
      '  | reboot: Power down',
      'a.service failed; its last messages:',
      '  | no\\x1b[2J way',
      'debian: boot test FAILED: failed unit: a.service (KVM)',
      '  results in /out/test-results/debian',
    ]);
  });
});

const tested: DefinedTestReport = {
  name: 'system',
  description: 'it works',
  image: 'main',
  passed: true,
  verdict: { outcome: 'passed' },
  steps: [
    { step: 'Boot=up', passed: true, seconds: 40.1 },
    { step: 'Power=off', passed: true, seconds: 3 },
  ],
  boots: [
    {
      systemState: 'running',
      failedUnits: [],
      phases: { kernel: 1234, total: 21234 },
      slowestUnits: [
        { unit: 'slow.service', begin: 1, duration: 3210 },
        { unit: 'quick.service', begin: 1, duration: 10 },
      ],
      memory: { total: 2e9, available: 1.9e9 },
      secondsToReport: 40,
    },
  ],
  accelerator: 'tcg',
  timeScale: 2,
  seconds: 43.9,
  imageSize: { apparent: 500e6, allocated: 300e6 },
  consoleTail: ['the end'],
  commandLine: ['qemu-system-x86_64'],
  results: hostPath('/out/test-results/system'),
};

describe('the report of a test out of mkimg.tests/', () => {
  it('says how the boot went', () => {
    expect(definedReportText(tested).split('\n')).toEqual([
      'system (it works): passed in 43.9 s (software emulation)',
      '  kernel        1.2 s',
      '  total        21.2 s',
      '  slowest     slow.service 3.2 s',
      '  memory      100 of 2000 MB in use after the boot',
      '  image       500 MB, 300 MB of them on the disk',
      '  results in /out/test-results/system',
    ]);
  });

  it('shows which step failed, and nothing that could act on the terminal', () => {
    const text = definedReportText({
      ...tested,
      passed: false,
      verdict: {
        outcome: 'failed',
        reason: 'step-failed',
        message: 'the exit status is 1 instead of 0',
        details: ['no\u001b[2J way'],
      },
      steps: [
        { step: 'Boot=up', passed: true, seconds: 40.1 },
        { step: 'Command=fals\u001be', passed: false, seconds: 0.5, message: 'x' },
      ],
      boots: [],
    });
    expect(text.split('\n')).toEqual([
      'last lines of the console:',
      '  | the end',
      'system (it works): FAILED: the exit status is 1 instead of 0 (software emulation)',
      '  | no\\x1b[2J way',
      '  done      40.1 s  Boot=up',
      '  FAILED     0.5 s  Command=fals\\x1be',
      '  image       500 MB, 300 MB of them on the disk',
      '  results in /out/test-results/system',
    ]);
  });
});

describe('the choice of tests', () => {
  const test = (name: string, failed: BootTestDefinition['failed'] = []): BootTestDefinition => ({
    name,
    path: hostPath(`/project/mkimg.tests/${name}.conf`),
    description: `tests ${name}`,
    timeout: 300,
    runtime: new Map(),
    steps: [],
    failed,
  });
  const elsewhere = [
    { section: 'Match', key: 'Architecture', wanted: 'arm64', actual: 'x86-64', origin: { kind: 'default' } },
  ] as const;
  const all = [test('one'), test('two', elsewhere), test('three')];

  it('is all that are for the image, or those that are named', () => {
    const reason = 'its conditions do not hold: Architecture=arm64 (it is x86-64)';
    const { tests, skipped } = selectTests(all, []);
    expect([tests.map(({ name }) => name), skipped]).toEqual([['one', 'three'], [{ name: 'two', reason }]]);
    expect(selectTests(all, ['three']).tests.map(({ name }) => name)).toEqual(['three']);
    expect(selectTests(all, ['two'])).toEqual({ tests: [], skipped: [{ name: 'two', reason }] });
  });

  it('knows no others', () => {
    expect(() => selectTests(all, ['onee'])).toThrow("the image has no test 'onee'");
    expect(() => selectTests([], ['x'])).toThrow(ConfigurationError);
  });

  it('can be looked at', () => {
    expect(listText(all)).toBe(
      'one    tests one\ntwo    tests two [not here: its conditions do not hold: Architecture=arm64 (it is x86-64)]\nthree  tests three',
    );
    expect(listText([])).toMatch(/^There are no tests/);
    expect(JSON.parse(listJson(all))).toMatchObject({
      tests: [{ name: 'one', skipped: null }, { name: 'two' }, {}],
    });
  });
});

describe('--timeout', () => {
  it('is a number of seconds', () => {
    expect([parseTimeout(undefined), parseTimeout('90')]).toEqual([undefined, 90]);
  });

  it.each(['', '0', '-1', '1.5', '5m', '9999999'])('is not %j', (text) => {
    expect(() => parseTimeout(text)).toThrow(ConfigurationError);
  });
});

describe('--jobs', () => {
  it('is a number of tests', () => {
    expect([parseJobs(undefined), parseJobs('4')]).toEqual([1, 4]);
    for (const text of ['', '0', '-1', '1.5', 'x', '1000'])
      expect(() => parseJobs(text)).toThrow(ConfigurationError);
  });
});

describe('Console=', () => {
  it.each([
    ['native', { console: 'monitor', display: 'none' }, { shows: true, types: true, hasEscape: false }],
    ['interactive', { console: 'socket', display: 'none' }, { shows: true, types: true, hasEscape: true }],
    ['read-only', { console: 'socket', display: 'none' }, { shows: true, types: false, hasEscape: false }],
    ['gui', { console: 'socket', display: 'window' }, { shows: false, types: false, hasEscape: false }],
    ['headless', { console: 'socket', display: 'none' }, { shows: false, types: false, hasEscape: false }],
  ] as const)('%s', (setting, machine, terminal) => {
    expect(consoleUse(setting)).toMatchObject({ ...machine, terminal });
  });
});

describe('the name of a machine', () => {
  it.each([
    ['web', 'main', 'web'],
    ['web', 'base', 'web-base'],
    [undefined, 'main', 'mkimg'],
    ['../a b/ü', 'main', 'a-b-'],
    ['..', 'main', 'machine'],
  ])('of %s and %s', (machine, image, name) => {
    expect(machineNameOf(machine, image as ImageName)).toBe(name);
  });
});

describe('a terminal after a guest', () => {
  const after = (...shown: readonly string[]): string => {
    const keeper = new ScreenKeeper();
    for (const text of shown) keeper.watch(Buffer.from(text));
    return keeper.sequences();
  };

  it('leaves the other screen only where the guest is still in it', () => {
    expect(after('\u001b[?1049h editing')).toContain('\u001b[?1049l');
    expect(after('\u001b[?1049h', '\u001b[?1049l')).not.toContain('1049');
    expect(after('plain')).not.toContain('1049');
  });

  it('gets its cursor, its line wrap and its colours back', () => {
    expect(after('')).toBe('\u001b[?7h\u001b[?25h\u001b[?1000l\u001b[?1006l\u001b[?2004l\u001b[0m');
  });
});
