import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BootReport } from '../../../../src/qemu/guest/report.ts';
import {
  addToReport,
  bootPhases,
  emptyReport,
  parseAgentLine,
  unitStarts,
} from '../../../../src/qemu/guest/report.ts';

const token = '0123456789abcdef';

describe('parseAgentLine', () => {
  it.each<readonly [string, unknown]>([
    ['hello', { event: 'hello' }],
    ['state running', { event: 'state', state: 'running' }],
    ['state ', { event: 'state', state: '' }],
    ['failed dev-disk-by\\x2dlabel-x.swap', { event: 'failed', unit: 'dev-disk-by\\x2dlabel-x.swap' }],
    ['log   two  blanks', { event: 'log', text: '  two  blanks' }],
    ['out 1a one\rtwo', { event: 'out', id: '1a', text: 'one\rtwo' }],
    ['out 1a ', { event: 'out', id: '1a', text: '' }],
    ['err 1a x', { event: 'err', id: '1a', text: 'x' }],
    ['exit 1a 255', { event: 'exit', id: '1a', status: 255 }],
    ['done', { event: 'done' }],
  ])('reads %j', (text, record) => {
    expect(parseAgentLine(token, `${token} ${text}`)).toEqual(record);
  });

  it.each([
    '',
    'nonsense',
    'failed ',
    'exit 1a',
    'exit 1a -1',
    'exit 1a 0x1',
    'exit 1a 1000',
    'out',
    'exit  0',
  ])('drops %j', (text) => {
    expect(parseAgentLine(token, `${token} ${text}`)).toBeUndefined();
  });

  it('takes nothing from whoever does not know the token', () => {
    for (const text of [
      'done',
      `${token}done`,
      ` ${token} done`,
      'fedcba9876543210 done',
      '{"event":"done"}',
    ])
      expect(parseAgentLine(token, text)).toBeUndefined();
  });

  it('survives any line', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseAgentLine(token, `${token} ${text}`)));
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.startsWith(token));
        expect(parseAgentLine(token, text)).toBeUndefined();
      }),
    );
  });
});

function report(lines: readonly string[]): BootReport {
  return lines.reduce((before, line) => {
    const said = parseAgentLine(token, `${token} ${line}`);
    if (said === undefined || 'id' in said) throw new Error(`no record: ${line}`);
    return addToReport(before, said);
  }, emptyReport);
}

describe('a report', () => {
  it('has the times of the boot and of its units, and the memory', () => {
    const { times, units, memory } = report([
      'times FinishTimestampMonotonic=9',
      'times UserspaceTimestampMonotonic=4',
      'times OtherTimestampMonotonic=5',
      'unit Id=a.service',
      'unit InactiveExitTimestampMonotonic=1000',
      'unit ActiveEnterTimestampMonotonic=4000000',
      'unit ',
      'unit ActiveEnterTimestampMonotonic=0',
      'unit InactiveExitTimestampMonotonic=0',
      'unit Id=b.mount',
      'memory MemTotal:2048',
      'memory MemAvailable:1024',
      'memory MemFree:7',
    ]);
    expect(times).toEqual({ firmware: 0, loader: 0, initrd: 0, userspace: 4, finish: 9 });
    expect(units).toEqual([
      { unit: 'a.service', begin: 1000, end: 4_000_000 },
      { unit: 'b.mount', begin: 0, end: 0 },
    ]);
    expect(memory).toEqual({ total: 2 ** 21, available: 2 ** 20 });
  });

  it('takes nothing for a number that is none', () => {
    const { times, memory } = report([
      'times FinishTimestampMonotonic=-1',
      'times UserspaceTimestampMonotonic=99999999999999999999',
      'memory MemTotal:',
    ]);
    expect(times).toEqual({ firmware: 0, loader: 0, initrd: 0, userspace: 0, finish: 0 });
    expect(memory).toBeUndefined();
  });

  it('does not grow without end', () => {
    const many = Array.from({ length: 5000 }, (_, number) => number);
    const units = report(many.flatMap((number) => [`unit Id=${number}.service`, 'unit '])).units;
    expect(units.length).toBeLessThan(2100);
    const failed = report(many.map((number) => `failed ${number}.service`)).failedUnits;
    expect(failed).toHaveLength(100);
    const { log = [] } =
      report(['failed a.service', ...many.map((number) => `log ${number}`)]).failedUnits[0] ?? {};
    expect(log).toHaveLength(50);
  });
});

describe('unitStarts', () => {
  it('puts the slowest first, and leaves out what did not come up', () => {
    const second = 1_000_000;
    expect(
      unitStarts([
        { unit: 'quick.service', begin: 3 * second, end: 4 * second },
        { unit: 'never.service', begin: 0, end: 0 },
        { unit: 'starting.service', begin: 5 * second, end: 0 },
        { unit: 'slow.service', begin: second, end: 9 * second },
      ]),
    ).toEqual([
      { unit: 'slow.service', begin: 1000, duration: 8000 },
      { unit: 'quick.service', begin: 3000, duration: 1000 },
    ]);
  });
});

describe('bootPhases', () => {
  it('counts as systemd-analyze does', () => {
    // From a machine where systemd-analyze said:
    // 8.2s (firmware) + 1.6s (loader) + 2.5s (kernel) + 4s (initrd) + 10s (userspace) = 26.3s.
    const times = {
      firmware: 9_800_000,
      loader: 1_600_000,
      initrd: 2_500_000,
      userspace: 6_500_000,
      finish: 16_500_000,
    };
    expect(bootPhases(times)).toEqual({
      firmware: 8200,
      loader: 1600,
      kernel: 2500,
      initrd: 4000,
      userspace: 10000,
      total: 26300,
    });
  });

  it('leaves out what the guest does not know', () => {
    const none = { firmware: 0, loader: 0, initrd: 0, userspace: 0, finish: 0 };
    expect(bootPhases(none)).toEqual({});
    expect(bootPhases({ ...none, userspace: 10_000_000, finish: 31_000_000 })).toEqual({
      kernel: 10000,
      userspace: 21000,
      total: 31000,
    });
  });
});
