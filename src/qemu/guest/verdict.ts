import { unreachable } from '../../base/errors.ts';
import type { GuestChannelKind } from './agent.ts';
import type { BootReport, GuestRecord } from './report.ts';
import { addToReport, emptyReport } from './report.ts';

/** Console text which shows that the boot came to its end, for guests without the agent. */
const bootedMarker =
  /\blogin: ?$|Reached target .{0,12}(?:multi-user\.target|Multi-User System|graphical\.target)/;

/** Everything that can happen while a guest under test runs. */
export type GuestEvent =
  | { readonly type: 'record'; readonly record: GuestRecord }
  /** A line of the serial console without control sequences; also an unfinished line that has not grown for a while. */
  | { readonly type: 'console'; readonly line: string }
  /** QMP SHUTDOWN: the machine ends. */
  | { readonly type: 'shutdown'; readonly byGuest: boolean; readonly reason: string }
  /** QMP GUEST_PANICKED. */
  | { readonly type: 'panicked' }
  /** The guest was asked to switch itself off, or to restart. */
  | { readonly type: 'asked'; readonly to: 'power-off' | 'restart' }
  /** QMP RESET: the machine starts anew. */
  | { readonly type: 'reset' }
  /** QMP STOP without our asking, and what query-status then said. */
  | { readonly type: 'stopped'; readonly status: string }
  /** No byte on the console for longer than any working machine needs. */
  | { readonly type: 'silent'; readonly seconds: number }
  | { readonly type: 'timeout'; readonly seconds: number }
  | { readonly type: 'interrupted' }
  /** QEMU's process ended; nothing comes after it. */
  | { readonly type: 'exited'; readonly exitCode: number; readonly stderr: readonly string[] };

/** Stable names of the ways in which a boot test fails. */
export type FailureReason =
  | 'units-failed'
  | 'system-state'
  | 'kernel-panic'
  | 'emergency-mode'
  | 'firmware-refused'
  | 'not-bootable'
  | 'timeout'
  | 'early-power-off'
  | 'guest-restarted'
  | 'kvm-broken'
  | 'disk-error'
  | 'qemu-failed'
  | 'interrupted'
  /** The guest is well, but did not do what a step of the test says. */
  | 'step-failed';

export type Verdict =
  | { readonly outcome: 'passed' }
  | { readonly outcome: 'failed'; readonly reason: FailureReason; readonly message: string };

/** What is known so far. `verdict` once set stays, whatever comes after. */
export interface BootState {
  readonly channel: GuestChannelKind;
  readonly accelerator: 'kvm' | 'tcg';
  /** `answering`: the agent has begun, while units may still be starting. */
  readonly phase: 'booting' | 'answering' | 'reported';
  readonly report: BootReport;
  /** The console showed that the boot had finished. */
  readonly sawMarker: boolean;
  /** What the guest was asked to do last. */
  readonly asked: 'power-off' | 'restart' | undefined;
  /** It was asked to restart, the machine has been reset, and the agent has not begun again. */
  readonly isRestarting: boolean;
  /** Failed units are no failure. */
  readonly acceptsFailedUnits: boolean;
  readonly verdict: Verdict | undefined;
}

export function initialBootState(
  channel: GuestChannelKind,
  accelerator: 'kvm' | 'tcg',
  acceptsFailedUnits = false,
): BootState {
  return {
    channel,
    accelerator,
    asked: undefined,
    isRestarting: false,
    acceptsFailedUnits,
    phase: 'booting',
    report: emptyReport,
    sawMarker: false,
    verdict: undefined,
  };
}

/** The next state. Pure: the caller kills the machine when a verdict has appeared. */
export function advance(state: BootState, event: GuestEvent): BootState {
  if (state.verdict !== undefined) {
    // What the guest still says about a failure is welcome, a second opinion is not.
    return event.type === 'record' ? { ...takeRecord(state, event.record), verdict: state.verdict } : state;
  }
  switch (event.type) {
    case 'record':
      return takeRecord(state, event.record);
    case 'console':
      return takeConsole(state, event.line);
    case 'shutdown':
      return takeShutdown(state, event.byGuest, event.reason);
    case 'asked':
      return takeAsked(state, event.to);
    case 'reset':
      return takeReset(state);
    case 'stopped':
      return takeStop(state, event.status);
    case 'exited':
      return takeExit(state, event.exitCode);
    default:
      return giveUp(state, event);
  }
}

type EndingEvent = Extract<GuestEvent, { type: 'panicked' | 'silent' | 'timeout' | 'interrupted' }>;

function giveUp(state: BootState, event: EndingEvent): BootState {
  switch (event.type) {
    case 'panicked':
      return failed(state, 'kernel-panic', 'the guest kernel panicked');
    case 'silent':
      return failed(
        state,
        state.accelerator === 'kvm' ? 'kvm-broken' : 'timeout',
        `no output on the console for ${event.seconds} seconds after the start`,
      );
    case 'timeout':
      return failed(state, 'timeout', timeoutMessage(state, event.seconds));
    case 'interrupted':
      return failed(state, 'interrupted', 'interrupted');
    default:
      return unreachable(event);
  }
}

function takeRecord(state: BootState, record: GuestRecord): BootState {
  // The report is closed by its last record.
  if (state.phase === 'reported') return state;
  switch (record.event) {
    case 'hello':
      return { ...state, phase: 'answering', isRestarting: false };
    case 'done':
      return takeReport({ ...state, phase: 'reported' });
    default:
      return { ...state, report: addToReport(state.report, record) };
  }
}

/** SeaBIOS resets the machine once more when it finds that it has run already, so resets come in pairs. */
function takeReset(state: BootState): BootState {
  const { channel, accelerator, acceptsFailedUnits, asked, isRestarting } = state;
  if (asked !== 'restart' && !isRestarting) return restarted(state);
  return { ...initialBootState(channel, accelerator, acceptsFailedUnits), isRestarting: true };
}

function restarted(state: BootState): BootState {
  return failed(state, 'guest-restarted', 'the guest restarted by itself');
}

/** The report is complete: failures count at once, success only after a clean power-off. */
function takeReport(state: BootState): BootState {
  if (state.acceptsFailedUnits) return state;
  const { failedUnits, systemState } = state.report;
  const names = failedUnits.map((entry) => entry.unit);
  if (names.length > 0) {
    return failed(state, 'units-failed', `failed unit${names.length > 1 ? 's' : ''}: ${names.join(', ')}`);
  }
  if (systemState === 'running') return state;
  return failed(state, 'system-state', `the system is '${systemState ?? ''}' instead of 'running'`);
}

interface ConsoleSign {
  readonly pattern: RegExp;
  readonly reason: FailureReason;
  readonly message: string;
}

/** Text after which no report will come. */
const consoleSigns: readonly ConsoleSign[] = [
  {
    pattern: /Kernel panic - not syncing/,
    reason: 'kernel-panic',
    message: 'the guest kernel panicked',
  },
  {
    pattern: /BdsDxe: failed to load Boot\S+ .*: Access Denied/,
    reason: 'firmware-refused',
    message: 'the firmware refused to start the image: its signature is not trusted (Secure Boot)',
  },
  {
    pattern: /BdsDxe: No bootable option|UEFI Interactive Shell|Boot failed: |No bootable device/,
    reason: 'not-bootable',
    message: 'the firmware found nothing to boot',
  },
  {
    pattern: /You are in emergency mode|Entering emergency mode|Cannot open access to console/,
    reason: 'emergency-mode',
    message: 'the boot ended in emergency mode',
  },
];

function takeConsole(state: BootState, line: string): BootState {
  const sign = consoleSigns.find((candidate) => candidate.pattern.test(line));
  if (sign !== undefined) return failed(state, sign.reason, `${sign.message}: ${line.trim()}`);
  if (!bootedMarker.test(line)) return state;
  if (state.channel !== 'console') return { ...state, sawMarker: true };
  return { ...state, sawMarker: true, phase: 'reported' };
}

function takeAsked(state: BootState, to: NonNullable<BootState['asked']>): BootState {
  // A guest without the agent hears nothing; its console has said all that it says.
  if (state.channel === 'console' && state.phase === 'reported')
    return { ...state, verdict: { outcome: 'passed' } };
  return { ...state, asked: to };
}

function takeShutdown(state: BootState, byGuest: boolean, reason: string): BootState {
  if (reason === 'guest-panic') return failed(state, 'kernel-panic', 'the guest kernel panicked');
  if (reason === 'guest-reset') return restarted(state);
  if (!byGuest) return failed(state, 'qemu-failed', `QEMU ended the machine (${reason})`);
  if (mayEnd(state)) return { ...state, verdict: { outcome: 'passed' } };
  return failed(state, 'early-power-off', powerOffMessages[state.phase]);
}

function mayEnd({ phase, asked, acceptsFailedUnits }: BootState): boolean {
  const isThere = phase === 'reported' || (phase === 'answering' && acceptsFailedUnits);
  return isThere && asked === 'power-off';
}

const powerOffMessages: Readonly<Record<BootState['phase'], string>> = {
  booting: 'the guest switched itself off before its boot finished',
  answering: 'the guest switched itself off before its report was complete',
  reported: 'the guest switched itself off without being asked',
};

function takeStop(state: BootState, status: string): BootState {
  switch (status) {
    case 'internal-error':
      return failed(
        state,
        state.accelerator === 'kvm' ? 'kvm-broken' : 'qemu-failed',
        'the virtual CPU stopped with an internal error',
      );
    case 'io-error':
      return failed(
        state,
        'disk-error',
        "QEMU could not write the guest's disk; the host's disk may be full",
      );
    case 'guest-panicked':
      return failed(state, 'kernel-panic', 'the guest kernel panicked');
    // Runs again, or ends and is reported as a shutdown.
    case 'running':
    case 'shutdown':
      return state;
    default:
      return failed(state, 'qemu-failed', `QEMU stopped the machine (${status})`);
  }
}

function takeExit(state: BootState, exitCode: number): BootState {
  if (mayEnd(state) && exitCode === 0) return { ...state, verdict: { outcome: 'passed' } };
  return failed(state, 'qemu-failed', `QEMU ended with exit code ${exitCode}`);
}

function timeoutMessage(state: BootState, seconds: number): string {
  switch (state.phase) {
    case 'booting':
      return state.sawMarker
        ? `the console shows a finished boot, but no report came within ${seconds} seconds (is the image's systemd older than 256? ManifestFormat=json lets mkimg know)`
        : `the boot did not finish within ${seconds} seconds`;
    case 'answering':
      return `the guest did not settle within ${seconds} seconds (units are still starting)`;
    case 'reported':
      return `the guest finished its boot but did not power off within ${seconds} seconds`;
  }
}

function failed(state: BootState, reason: FailureReason, message: string): BootState {
  return { ...state, verdict: { outcome: 'failed', reason, message } };
}
