import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GuestRecord, ReportChannel } from '../../../src/qemu/report.ts';
import type { BootState, GuestEvent } from '../../../src/qemu/verdict.ts';
import { advance, initialBootState } from '../../../src/qemu/verdict.ts';

interface Circumstances {
  readonly channel?: ReportChannel;
  readonly accelerator?: 'kvm' | 'tcg';
}

function play(
  events: readonly GuestEvent[],
  { channel = 'unit', accelerator = 'tcg' }: Circumstances = {},
): BootState {
  return events.reduce(advance, initialBootState(channel, accelerator));
}

function record(value: GuestRecord): GuestEvent {
  return { type: 'record', record: value };
}

/** The verdict in one word: `passed` or the reason. */
function outcome({ verdict }: BootState): string {
  if (verdict === undefined) return 'open';
  return verdict.outcome === 'passed' ? 'passed' : verdict.reason;
}

const times = { firmware: 0, loader: 0, initrd: 0, userspace: 1, finish: 2 };
const booted = record({ event: 'booted' });
const running = record({ event: 'state', state: 'running' });
const noFailures = record({ event: 'failed', units: [] });
const timed = record({ event: 'times', times });
const done = record({ event: 'done' });
const report = [booted, running, noFailures, timed, done];
const powerOff: GuestEvent = { type: 'shutdown', byGuest: true, reason: 'guest-shutdown' };
const reset: GuestEvent = { type: 'shutdown', byGuest: true, reason: 'guest-reset' };
const quit: GuestEvent = { type: 'exited', exitCode: 0, stderr: [] };
const timeout: GuestEvent = { type: 'timeout', seconds: 300 };
const line = (text: string): GuestEvent => ({ type: 'console', line: text });

describe('a boot passes', () => {
  it('when the report is good and the guest then powers off', () => {
    const state = play([...report, powerOff, quit]);
    expect(outcome(state)).toBe('passed');
    expect(state.systemState).toBe('running');
    expect(state.times).toEqual(times);
  });

  it('not before it has powered off', () => {
    expect(outcome(play(report))).toBe('open');
  });

  it('when the end of QEMU is seen before the event', () => {
    expect(outcome(play([...report, quit, powerOff]))).toBe('passed');
  });

  it.each([
    'debian login: ',
    '[  OK  ] Reached target multi-user.target - Multi-User System.',
    '[  OK  ] Reached target Multi-User System.',
    'vm login:',
  ])('by the console alone where that is the channel: %s', (text) => {
    expect(outcome(play([line('booting'), line(text)], { channel: 'console' }))).toBe('passed');
  });
});

describe('a boot fails', () => {
  type Case = readonly [reason: string, why: string, events: readonly GuestEvent[]];
  const cases: readonly Case[] = [
    ['units-failed', 'a unit failed', [booted, record({ event: 'failed', units: ['a.service'] }), done]],
    [
      'system-state',
      'it is degraded without a failed unit',
      [booted, record({ event: 'state', state: 'degraded' }), noFailures, done],
    ],
    ['system-state', 'the guest does not say how it is', [booted, noFailures, done]],
    ['system-state', 'it is still starting', [booted, record({ event: 'state', state: 'starting' }), done]],
    ['kernel-panic', 'the kernel panics, as QEMU tells', [{ type: 'panicked' }]],
    [
      'kernel-panic',
      'the kernel panics, as the console tells',
      [line('[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs')],
    ],
    [
      'kernel-panic',
      'QEMU ends because of a panic',
      [{ type: 'shutdown', byGuest: true, reason: 'guest-panic' }],
    ],
    ['kernel-panic', 'QEMU holds a panicked guest', [{ type: 'stopped', status: 'guest-panicked' }]],
    ['kernel-panic', 'it panics while it powers off', [...report, { type: 'panicked' }, powerOff, quit]],
    [
      'emergency-mode',
      'systemd gives up',
      [line('You are in emergency mode. After logging in, type "journalctl -xb"')],
    ],
    ['emergency-mode', 'the initrd gives up', [line('Entering emergency mode. Exit the shell to continue.')]],
    [
      'emergency-mode',
      'root is locked as well',
      [line('Cannot open access to console, the root account is locked.')],
    ],
    [
      'firmware-refused',
      'the signature is not trusted',
      [
        line(
          'BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x2,0x0): Access Denied',
        ),
      ],
    ],
    ['not-bootable', 'the firmware finds nothing', [line('BdsDxe: No bootable option or device was found.')]],
    ['not-bootable', 'the firmware opens its shell', [line('UEFI Interactive Shell v2.2')]],
    ['timeout', 'it takes too long', [booted, timeout]],
    ['timeout', 'it does not power off', [...report, timeout]],
    ['timeout', 'nothing comes, without KVM', [{ type: 'silent', seconds: 20 }]],
    ['qemu-failed', 'the emulated CPU fails', [{ type: 'stopped', status: 'internal-error' }]],
    ['disk-error', "the host's disk is full", [{ type: 'stopped', status: 'io-error' }]],
    ['early-power-off', 'it powers off before the report', [powerOff, quit]],
    ['early-power-off', 'it powers off in the middle of the report', [booted, running, powerOff]],
    ['guest-restarted', 'it restarts', [reset, quit]],
    ['guest-restarted', 'it restarts instead of powering off', [...report, reset]],
    ['qemu-failed', 'QEMU dies', [booted, { type: 'exited', exitCode: 1, stderr: ['x'] }]],
    [
      'qemu-failed',
      'QEMU is killed after the report',
      [...report, { type: 'exited', exitCode: 137, stderr: [] }],
    ],
    ['qemu-failed', 'somebody ends QEMU', [{ type: 'shutdown', byGuest: false, reason: 'host-signal' }]],
    ['interrupted', 'the user ends it', [booted, { type: 'interrupted' }]],
  ];

  it.each(cases)('%s: %s', (reason, _, events) => {
    expect(outcome(play(events))).toBe(reason);
  });

  it.each<GuestEvent>([
    { type: 'silent', seconds: 20 },
    { type: 'stopped', status: 'internal-error' },
  ])('kvm-broken: with KVM, $type', (event) => {
    expect(outcome(play([event], { accelerator: 'kvm' }))).toBe('kvm-broken');
  });

  it('early-power-off: it powers off instead of showing a login', () => {
    expect(outcome(play([powerOff], { channel: 'console' }))).toBe('early-power-off');
  });

  it('with the names of the units and what they logged', () => {
    const state = play([
      booted,
      record({ event: 'failed', units: ['a.service', 'b.service'] }),
      record({ event: 'log', unit: 'a.service' }),
      record({ event: 'line', text: 'one' }),
      record({ event: 'line', text: 'two' }),
      record({ event: 'log', unit: 'b.service' }),
      record({ event: 'line', text: 'three' }),
      done,
    ]);
    expect(state.failedUnits).toEqual([
      { unit: 'a.service', log: ['one', 'two'] },
      { unit: 'b.service', log: ['three'] },
    ]);
    expect(state.verdict).toEqual({
      outcome: 'failed',
      reason: 'units-failed',
      message: 'failed units: a.service, b.service',
    });
  });

  it('says what a timeout interrupted', () => {
    const messages = [[], [booted], report, [line('vm login:')]].map((events) => {
      const { verdict } = play([...events, timeout]);
      return verdict?.outcome === 'failed' ? verdict.message : '';
    });
    expect(messages[0]).toBe('the boot did not finish within 300 seconds');
    expect(messages[1]).toMatch(/did not settle/);
    expect(messages[2]).toMatch(/did not power off/);
    expect(messages[3]).toMatch(/no report came .*ManifestFormat=json/);
  });
});

describe('a boot is not judged', () => {
  it.each<readonly [string, GuestEvent]>([
    ['by a login prompt where a report is due', line('vm login: ')],
    ['by kernel messages that only look bad', line('panic=30 is set; no Kernel panic here')],
    ['by a machine that runs again', { type: 'stopped', status: 'running' }],
    ['by output that belongs to no unit', record({ event: 'line', text: 'x' })],
    ['by the log of a unit that did not fail', record({ event: 'log', unit: 'x.service' })],
  ])('%s', (_, event) => {
    expect(outcome(play([event]))).toBe('open');
  });
});

describe('any order of events', () => {
  const event = fc.constantFrom<GuestEvent>(
    ...report,
    record({ event: 'failed', units: ['x.service'] }),
    record({ event: 'state', state: 'degraded' }),
    record({ event: 'line', text: 'x' }),
    powerOff,
    reset,
    quit,
    timeout,
    line('Kernel panic - not syncing: x'),
    line('vm login: '),
    { type: 'panicked' },
    { type: 'stopped', status: 'io-error' },
    { type: 'exited', exitCode: 1, stderr: [] },
    { type: 'interrupted' },
  );

  it('keeps the first verdict', () => {
    fc.assert(
      fc.property(fc.array(event), fc.array(event), (before, after) => {
        const early = play(before);
        fc.pre(early.verdict !== undefined);
        expect(after.reduce(advance, early).verdict).toEqual(early.verdict);
      }),
    );
  });

  it('passes only what says that it runs, and has no failed unit', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 6 }), (before) => {
        const state = play([...before, done, powerOff]);
        const isGood = state.systemState === 'running' && state.failedUnits.length === 0;
        if (!isGood) expect(outcome(state)).not.toBe('passed');
      }),
    );
  });

  it('always comes to a verdict when QEMU has ended', () => {
    fc.assert(
      fc.property(fc.array(event), (events) => {
        expect(play([...events, quit]).verdict).toBeDefined();
      }),
    );
  });
});
