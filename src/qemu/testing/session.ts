import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { BootGoal, TestAction } from '../../config/tests/definition.ts';
import type { BootFacts } from '../boot-test.ts';
import { bootFacts } from '../boot-test.ts';
import type { GuestChannelKind } from '../guest/agent.ts';
import type { ConsoleLog } from '../guest/console-log.ts';
import type { Guest } from '../guest/guest.ts';
import { startGuest } from '../guest/guest.ts';
import type { FailureReason } from '../guest/verdict.ts';
import { takeScreenshot } from '../running/screenshots.ts';
import type { VmHost, VmRequest } from '../vm.ts';

export type BootAction = Extract<TestAction, { kind: 'boot' }>;

/** A machine as a Boot= step asks for it. */
export interface DescribedMachine {
  readonly machine: VmRequest;
  readonly channel: GuestChannelKind;
}

/** One start of a guest, and what it said of it. */
export interface BootRecord extends BootFacts {
  /** From the start, or the restart, to the complete report; undefined when there was none. */
  readonly secondsToReport: number | undefined;
}

/** Why a guest is no longer fit for a test. */
export interface GuestFailure {
  readonly reason: FailureReason;
  readonly message: string;
}

export interface SessionRequest {
  /** Puts a machine together, with the disks as earlier steps left them. */
  readonly describe: (action: BootAction) => Promise<DescribedMachine>;
  readonly log: ConsoleLog;
  readonly results: HostPath;
}

/** The machines of one test, one after the other, and what is known of them. */
export class TestSession implements AsyncDisposable {
  readonly results: HostPath;
  /** Number of the line of the console from which Console= looks on. */
  consoleFrom = 0;
  /** QEMU's command line of the last machine. */
  commandLine: readonly string[] = [];
  consoleTail: readonly string[] = [];
  /** For a step that runs out of time: what there is to say of it. */
  progress: () => readonly string[] = () => [];
  private readonly request: SessionRequest;
  private readonly host: VmHost;
  private readonly records: BootRecord[] = [];
  private current: Guest | undefined;
  private startedAt = 0;

  constructor(request: SessionRequest, host: VmHost) {
    this.request = request;
    this.host = host;
    this.results = request.results;
  }

  /** The running guest. */
  get guest(): Guest {
    if (this.current === undefined) throw new Error('internal: a step without a machine');
    return this.current;
  }

  get isRunning(): boolean {
    return this.current !== undefined;
  }

  async start(action: BootAction): Promise<Guest> {
    const { machine, channel } = await this.request.describe(action);
    this.startedAt = performance.now();
    this.consoleFrom = 0;
    this.current = await startGuest(
      { machine, channel, acceptsFailedUnits: acceptsFailedUnits(action.goal), log: this.request.log },
      this.host,
    );
    this.commandLine = this.current.vm.commandLine;
    return this.current;
  }

  /** The guest is about to start anew on the same machine. */
  restart(): void {
    this.noteBoot();
    this.startedAt = performance.now();
  }

  /** Ends the machine at once. */
  async stop(): Promise<void> {
    const guest = this.current;
    if (guest === undefined) return;
    this.noteBoot();
    this.consoleTail = guest.watch.consoleTail();
    this.current = undefined;
    await guest.vm.stop();
    await guest[Symbol.asyncDispose]();
  }

  /** What ended the guest, or makes it unfit, if anything did. */
  failure(): GuestFailure | undefined {
    const verdict = this.current?.watch.state.verdict;
    if (verdict?.outcome !== 'failed') return undefined;
    return { reason: verdict.reason, message: verdict.message };
  }

  /** All boots so far; complete once the machine has been stopped. */
  boots(): readonly BootRecord[] {
    return this.records;
  }

  noteProgress(progress: () => readonly string[]): void {
    this.progress = progress;
  }

  /** Keeps what the machine's screen shows. @throws MkimgError when it cannot be photographed */
  async screenshot(name: string): Promise<void> {
    await takeScreenshot(this.guest.vm, this.result(name));
  }

  /** A file among the results. */
  result(name: string): HostPath {
    return hostPath(join(this.results, name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const guest = this.current;
    this.current = undefined;
    await guest?.[Symbol.asyncDispose]();
  }

  private noteBoot(): void {
    const { state, reportedAt } = this.guest.watch;
    const seconds = reportedAt === undefined ? undefined : (reportedAt - this.startedAt) / 1000;
    this.records.push({
      ...bootFacts(state.report),
      secondsToReport: seconds === undefined ? undefined : Math.round(seconds * 10) / 10,
    });
  }
}

function acceptsFailedUnits(goal: BootGoal): boolean {
  return goal !== 'up';
}
