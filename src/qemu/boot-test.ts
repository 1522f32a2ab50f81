import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { GuestChannelKind } from './guest/agent.ts';
import { openConsoleLog } from './guest/console-log.ts';
import type { Guest } from './guest/guest.ts';
import { startGuest } from './guest/guest.ts';
import type { BootPhases, BootReport, FailedUnit, GuestMemory, UnitStart } from './guest/report.ts';
import { bootPhases, unitStarts } from './guest/report.ts';
import type { Verdict } from './guest/verdict.ts';
import type { GuestWatch } from './guest/watch.ts';
import { takeScreenshot } from './running/screenshots.ts';
import { saveEvidence } from './testing/evidence.ts';
import type { Vm, VmHost, VmRequest } from './vm.ts';

export interface BootTest {
  /** The machine; console, ports, credentials and the rest that a test decides are set here. */
  readonly machine: VmRequest;
  readonly channel: GuestChannelKind;
  readonly timeoutSeconds: number;
  /** By how much more time a guest gets for what it is asked after a failure. */
  readonly timeScale: number;
  /** Directory for console.log, everything that the console wrote, and for what tells of a failure. */
  readonly results: HostPath;
  readonly signal: AbortSignal;
}

/** What a guest reported of its boot. */
export interface BootFacts {
  readonly systemState: string | undefined;
  readonly failedUnits: readonly FailedUnit[];
  readonly phases: BootPhases;
  /** Those that took longest to come up, the slowest first. */
  readonly slowestUnits: readonly UnitStart[];
  /** When the boot had finished. */
  readonly memory?: GuestMemory;
}

export interface BootResult extends BootFacts {
  readonly verdict: Verdict;
  readonly channel: GuestChannelKind;
  readonly accelerator: 'kvm' | 'tcg';
  /** From QEMU's start to the guest's report; undefined when there was none. */
  readonly secondsToReport: number | undefined;
  readonly seconds: number;
  /** Last lines of the console, without control sequences. */
  readonly consoleTail: readonly string[];
  readonly commandLine: readonly string[];
}

const slowestUnits = 50;

/**
 * Boots a machine and watches it until a verdict is there. The machine is gone when this returns.
 * @throws MkimgError when the machine cannot be started at all. An interrupted test has the verdict `interrupted`.
 */
export async function runBootTest(test: BootTest, host: VmHost): Promise<BootResult> {
  const started = performance.now();
  await using log = openConsoleLog(hostPath(join(test.results, 'console.log')));
  const machine = unchangeable(test.machine);
  await using guest = await startGuest({ ...test, machine, acceptsFailedUnits: false, log }, host);
  const { vm, watch } = guest;
  using _limits = watchLimits(watch, test);
  await watch.until(() => watch.state.verdict ?? (watch.state.phase === 'reported' || undefined));
  if (watch.state.verdict === undefined) await powerOff(watch);
  await keepEvidence(guest, test);
  await vm.stop();
  return resultOf(watch, vm, started);
}

async function keepEvidence(guest: Guest, { results, timeScale }: BootTest): Promise<void> {
  const { verdict } = guest.watch.state;
  if (verdict?.outcome !== 'failed') return;
  const result = (name: string): HostPath => hostPath(join(results, name));
  const failed = {
    guest,
    isRunning: true,
    result,
    screenshot: (name: string) => takeScreenshot(guest.vm, result(name)),
  };
  await saveEvidence(failed, verdict.reason, timeScale);
}

/** Asks for an orderly power-off, and waits for it or for a failure. */
async function powerOff(watch: GuestWatch): Promise<void> {
  watch.take({ type: 'asked', to: 'power-off' });
  watch.channel?.powerOff();
  await watch.until(() => watch.state.verdict);
}

/** The machine, as one that changes nothing that was built, and that ends when the guest restarts. Pure. */
export function unchangeable(machine: VmRequest): VmRequest {
  return {
    ...machine,
    disks: machine.disks.map((disk) => ({ ...disk, discardWrites: true })),
    ...(machine.rootDirectory && { rootDirectory: { ...machine.rootDirectory, discardWrites: true } }),
    endOnRestart: true,
  };
}

/** What ends a test from outside: the time that it has, and the user. */
export function watchLimits(
  watch: GuestWatch,
  { timeoutSeconds, signal }: Pick<BootTest, 'timeoutSeconds' | 'signal'>,
): Disposable {
  const timer = setTimeout(
    () => watch.take({ type: 'timeout', seconds: timeoutSeconds }),
    timeoutSeconds * 1000,
  );
  const interrupt = (): void => watch.take({ type: 'interrupted' });
  signal.addEventListener('abort', interrupt, { once: true });
  if (signal.aborted) interrupt();
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', interrupt);
    },
  };
}

function resultOf(watch: GuestWatch, vm: Vm, started: number): BootResult {
  const { state, reportedAt } = watch;
  if (state.verdict === undefined) throw new Error('internal: a boot test without a verdict');
  return {
    verdict: state.verdict,
    channel: state.channel,
    accelerator: state.accelerator,
    ...bootFacts(state.report),
    secondsToReport: reportedAt === undefined ? undefined : seconds(reportedAt - started),
    seconds: seconds(performance.now() - started),
    consoleTail: watch.consoleTail(),
    commandLine: vm.commandLine,
  };
}

/** What a guest reported of its boot, for people. */
export function bootFacts({ systemState, failedUnits, times, units, memory }: BootReport): BootFacts {
  return {
    systemState,
    failedUnits,
    phases: times === undefined ? {} : bootPhases(times),
    slowestUnits: unitStarts(units).slice(0, slowestUnits),
    ...(memory === undefined ? {} : { memory }),
  };
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 100) / 10;
}
