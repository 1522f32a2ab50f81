import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GuestChannelKind } from '../../../../src/qemu/guest/agent.ts';
import type { GuestRecord } from '../../../../src/qemu/guest/report.ts';
import type { BootState, GuestEvent } from '../../../../src/qemu/guest/verdict.ts';
import { advance, initialBootState } from '../../../../src/qemu/guest/verdict.ts';

interface Circumstances {
  readonly channel?: GuestChannelKind;
  readonly accelerator?: 'kvm' | 'tcg';
  readonly acceptsFailedUnits?: boolean;
}

function play(
  events: readonly GuestEvent[],
  { channel = 'unit', accelerator = 'tcg', acceptsFailedUnits = false }: Circumstances = {},
): BootState {
  return events.reduce(advance, initialBootState(channel, accelerator, acceptsFailedUnits));
}

function record(value: GuestRecord): GuestEvent {
  return { type: 'record', record: value };
}

/** The verdict in one word: `passed` or the reason. */
function outcome({ verdict }: BootState): string {
  if (verdict === undefined) return 'open';
  return verdict.outcome === 'passed' ? 'passed' : verdict.reason;
}

const hello = record({ event: 'hello' });
const running = record({ event: 'state', state: 'running' });
const timed = record({ event: 'times', text: 'FinishTimestampMonotonic=2' });
const done = record({ event: 'done' });
const askedOff: GuestEvent = { type: 'asked', to: 'power-off' };
const askedRestart: GuestEvent = { type: 'asked', to: 'restart' };
const report = [hello, running, timed, done];
const failedUnit = record({ event: 'failed', unit: 'a.service' });
const powerOff: GuestEvent = { type: 'shutdown', byGuest: true, reason: 'guest-shutdown' };
const reset: GuestEvent = { type: 'shutdown', byGuest: true, reason: 'guest-reset' };
const quit: GuestEvent = { type: 'exited', exitCode: 0, stderr: [] };
const timeout: GuestEvent = { type: 'timeout', seconds: 300 };
const line = (text: string): GuestEvent => ({ type: 'console', line: text });

describe('a boot passes', () => {
  it('when the report is good and the guest then powers off', () => {
    const state = play([...report, askedOff, powerOff, quit]);
    expect(outcome(state)).toBe('passed');
    expect(state.report).toMatchObject({ systemState: 'running', times: { finish: 2 } });
  });

  it('not before it has powered off', () => {
    expect(outcome(play([...report, askedOff]))).toBe('open');
  });

  it('when the end of QEMU is seen before the event', () => {
    expect(outcome(play([...report, askedOff, quit, powerOff]))).toBe('passed');
  });

  it.each([
    'debian login: ',
    '[  OK  ] Reached target multi-user.target - Multi-User System.',
    '[  OK  ] Reached target Multi-User System.',
    'vm login:',
  ])('by the console alone where that is the channel: %s', (text) => {
    expect(outcome(play([line('booting'), line(text), askedOff], { channel: 'console' }))).toBe('passed');
  });
});

describe('a boot fails', () => {
  type Case = readonly [reason: string, why: string, events: readonly GuestEvent[]];
  const cases: readonly Case[] = [
    ['units-failed', 'a unit failed', [hello, failedUnit, done]],
    [
      'system-state',
      'it is degraded without a failed unit',
      [hello, record({ event: 'state', state: 'degraded' }), done],
    ],
    ['system-state', 'the guest does not say how it is', [hello, done]],
    ['system-state', 'it is still starting', [hello, record({ event: 'state', state: 'starting' }), done]],
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
    [
      'kernel-panic',
      'it panics while it powers off',
      [...report, askedOff, { type: 'panicked' }, powerOff, quit],
    ],
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
    ['timeout', 'it takes too long', [hello, timeout]],
    ['timeout', 'it does not power off', [...report, timeout]],
    ['timeout', 'nothing comes, without KVM', [{ type: 'silent', seconds: 20 }]],
    ['qemu-failed', 'the emulated CPU fails', [{ type: 'stopped', status: 'internal-error' }]],
    ['disk-error', "the host's disk is full", [{ type: 'stopped', status: 'io-error' }]],
    ['early-power-off', 'it powers off before the report', [powerOff, quit]],
    ['early-power-off', 'it powers off in the middle of the report', [hello, running, powerOff]],
    ['early-power-off', 'it powers off without being asked', [...report, powerOff]],
    ['guest-restarted', 'it restarts', [reset, quit]],
    ['guest-restarted', 'it restarts instead of powering off', [...report, askedOff, reset]],
    ['guest-restarted', 'it starts anew without being asked', [...report, { type: 'reset' }]],
    ['guest-restarted', 'it starts anew instead of powering off', [...report, askedOff, { type: 'reset' }]],
    ['early-power-off', 'it powers off instead of starting anew', [...report, askedRestart, powerOff]],
    ['qemu-failed', 'QEMU dies', [hello, { type: 'exited', exitCode: 1, stderr: ['x'] }]],
    [
      'qemu-failed',
      'QEMU is killed after the report',
      [...report, { type: 'exited', exitCode: 137, stderr: [] }],
    ],
    ['qemu-failed', 'somebody ends QEMU', [{ type: 'shutdown', byGuest: false, reason: 'host-signal' }]],
    ['interrupted', 'the user ends it', [hello, { type: 'interrupted' }]],
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
      hello,
      failedUnit,
      record({ event: 'log', text: 'one' }),
      record({ event: 'log', text: 'two' }),
      record({ event: 'failed', unit: 'b.service' }),
      record({ event: 'log', text: 'three' }),
      done,
    ]);
    expect(state.report.failedUnits).toEqual([
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
    const messages = [[], [hello], [...report, askedOff], [line('vm login:')]].map((events) => {
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
    ['by output that belongs to no unit', record({ event: 'log', text: 'x' })],
  ])('%s', (_, event) => {
    expect(outcome(play([event]))).toBe('open');
  });
});

describe('a guest that is asked to restart', () => {
  const restarted = [...report, askedRestart, { type: 'reset' } as const];

  it('boots anew, with a report of its own', () => {
    expect(play(restarted)).toEqual({ ...play([]), isRestarting: true });
    expect(outcome(play([...restarted, hello, failedUnit, done]))).toBe('units-failed');
    expect(outcome(play([...restarted, ...report, askedOff, powerOff]))).toBe('passed');
  });

  it('may be reset again by its firmware until it answers', () => {
    const twice = [...restarted, { type: 'reset' } as const];
    expect(outcome(play([...twice, ...report, askedOff, powerOff]))).toBe('passed');
    expect(outcome(play([...twice, hello, { type: 'reset' }]))).toBe('guest-restarted');
  });

  it('may do so once', () => {
    expect(outcome(play([...restarted, ...report, { type: 'reset' }]))).toBe('guest-restarted');
  });

  it('may still have failed units where these are accepted', () => {
    const lenient = { acceptsFailedUnits: true };
    expect(outcome(play([hello, failedUnit, done, askedOff, powerOff], lenient))).toBe('passed');
    expect(outcome(play([...restarted, failedUnit, done], lenient))).toBe('open');
  });
});

describe('any order of events', () => {
  const event = fc.constantFrom<GuestEvent>(
    ...report,
    failedUnit,
    record({ event: 'state', state: 'degraded' }),
    record({ event: 'log', text: 'x' }),
    askedOff,
    askedRestart,
    { type: 'reset' },
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
        const state = play([...before, done, askedOff, powerOff]);
        const { systemState, failedUnits } = state.report;
        const isGood = systemState === 'running' && failedUnits.length === 0;
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
