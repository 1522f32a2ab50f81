import { describe, expect, it } from 'vitest';
import type { ImageName } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { ConfigurationError } from '../../../src/base/errors.ts';
import { consoleUse } from '../../../src/cli/qemu.ts';
import { machineNameOf } from '../../../src/cli/running/names.ts';
import { ScreenKeeper } from '../../../src/cli/terminal.ts';
import { parseTimeout, reportText } from '../../../src/cli/test.ts';
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

describe('--timeout', () => {
  it('is a number of seconds', () => {
    expect([parseTimeout(undefined), parseTimeout('90')]).toEqual([undefined, 90]);
  });

  it.each(['', '0', '-1', '1.5', '5m', '9999999'])('is not %j', (text) => {
    expect(() => parseTimeout(text)).toThrow(ConfigurationError);
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
