import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { ConfigurationError } from '../../../src/base/errors.ts';
import { consoleOf } from '../../../src/cli/qemu.ts';
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
    ['native', 'terminal'],
    ['interactive', 'terminal'],
    ['read-only', 'output'],
    ['gui', 'window'],
    ['headless', 'none'],
  ] as const)('%s is the %s', (setting, kind) => {
    expect(consoleOf(setting)).toBe(kind);
  });
});
