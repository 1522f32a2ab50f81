import { createWriteStream } from 'node:fs';
import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostPath } from '../base/brand.ts';
import { LineSplitter, Ring } from '../sandbox/lines.ts';
import { ConsoleLines } from './console.ts';
import type { QmpEvent } from './qmp.ts';
import { member, text } from './qmp.ts';
import type { BootPhases, FailedUnit, ReportChannel } from './report.ts';
import { bootPhases, parseRecord, reportCommandLine, reportCredentials, reportPort } from './report.ts';
import type { BootState, GuestEvent, Verdict } from './verdict.ts';
import { advance, initialBootState } from './verdict.ts';
import type { Vm, VmHost, VmRequest } from './vm.ts';
import { startVm } from './vm.ts';

export interface BootTest {
  /** The machine; console, ports, credentials and the rest that a test decides are set here. */
  readonly machine: VmRequest;
  readonly channel: ReportChannel;
  readonly timeoutSeconds: number;
  /** Everything that the console wrote, as it came. */
  readonly consoleLog: HostPath;
  readonly signal: AbortSignal;
}

export interface BootResult {
  readonly verdict: Verdict;
  readonly channel: ReportChannel;
  readonly accelerator: 'kvm' | 'tcg';
  readonly systemState: string | undefined;
  readonly failedUnits: readonly FailedUnit[];
  readonly phases: BootPhases;
  /** From QEMU's start to the guest's report; undefined when there was none. */
  readonly secondsToReport: number | undefined;
  readonly seconds: number;
  /** Last lines of the console, without control sequences. */
  readonly consoleTail: readonly string[];
  readonly commandLine: readonly string[];
}

const tailLines = 30;
/** A guest that runs with KVM writes long before. */
const silentSeconds = 20;
/** What still comes after a fatal line, such as the trace of a panic, is worth having. */
const lingerSeconds = 2;
/** How long an unfinished line must stand still before it counts as a prompt. */
const promptMilliseconds = 500;
/** A guest in a loop must not fill the disk. */
const consoleLogLimit = 64 * 1024 * 1024;

/**
 * Boots a machine and watches it until a verdict is there. The machine is gone when this returns.
 * @throws MkimgError when the machine cannot be started at all. An interrupted test has the verdict `interrupted`.
 */
export async function runBootTest(test: BootTest, host: VmHost): Promise<BootResult> {
  const started = performance.now();
  const watch = new Watch(test);
  await using vm = await startVm(testMachine(test), host, (event) => watch.takeQmp(event));
  watch.attach(vm);
  const log = logConsole(vm.console, test.consoleLog);
  const timers = [
    setTimeout(
      () => watch.take({ type: 'timeout', seconds: test.timeoutSeconds }),
      test.timeoutSeconds * 1000,
    ),
    ...silenceTimer(test, watch),
  ];
  const interrupt = (): void => watch.take({ type: 'interrupted' });
  test.signal.addEventListener('abort', interrupt, { once: true });
  if (test.signal.aborted) interrupt();
  try {
    await watch.decided;
    if (watch.wantsMore()) await sleep(lingerSeconds * 1000);
    await vm.stop();
  } finally {
    timers.forEach(clearTimeout);
    watch.close();
    await log.close();
    test.signal.removeEventListener('abort', interrupt);
  }
  return watch.result(vm, started);
}

/** systemd gives devices and services 90 seconds; on a busy host software emulation needs more for the root's device. */
const slowMachine = ['systemd.default_device_timeout_sec=600', 'systemd.default_timeout_start_sec=600'];

/** What a test adds to the machine and takes away from it. */
export function testMachine(test: Pick<BootTest, 'machine' | 'channel'>): VmRequest {
  const { machine, channel } = test;
  return {
    ...machine,
    console: 'socket',
    ports: channel === 'console' ? [] : [reportPort],
    disks: machine.disks.map((disk) => ({ ...disk, discardWrites: true })),
    credentials: [...machine.credentials, ...reportCredentials(channel)],
    commandLine: [
      ...machine.commandLine,
      ...reportCommandLine(channel),
      ...(machine.accelerator === 'tcg' ? slowMachine : []),
    ],
    ...(machine.rootDirectory && { rootDirectory: { ...machine.rootDirectory, discardWrites: true } }),
    endOnRestart: true,
  };
}

function silenceTimer(test: BootTest, watch: Watch): NodeJS.Timeout[] {
  if (test.machine.accelerator !== 'kvm') return [];
  const report = (): void => {
    if (!watch.hasConsoleOutput) watch.take({ type: 'silent', seconds: silentSeconds });
  };
  return [setTimeout(report, silentSeconds * 1000)];
}

/** Turns everything that comes from the machine into events, and keeps what the result needs. */
class Watch {
  readonly decided: Promise<void>;
  hasConsoleOutput = false;
  private state: BootState;
  private decide: () => void = () => undefined;
  private vm: Vm | undefined;
  private reportedAt: number | undefined;
  private readonly tail = new Ring<string>(tailLines);
  private readonly lines = new ConsoleLines((line) => {
    this.tail.push(line);
    this.take({ type: 'console', line });
  });
  private promptTimer: NodeJS.Timeout | undefined;

  constructor(test: BootTest) {
    this.state = initialBootState(test.channel, test.machine.accelerator);
    this.decided = new Promise((resolve) => {
      this.decide = resolve;
    });
  }

  take(event: GuestEvent): void {
    this.state = advance(this.state, event);
    if (this.state.phase === 'reported') this.reportedAt ??= performance.now();
    if (this.state.verdict !== undefined) this.decide();
  }

  takeQmp(event: QmpEvent): void {
    switch (event.name) {
      case 'SHUTDOWN':
        this.take({
          type: 'shutdown',
          byGuest: event.data['guest'] === true,
          reason: text(event.data['reason']),
        });
        break;
      case 'GUEST_PANICKED':
        this.take({ type: 'panicked' });
        break;
      case 'STOP':
        void this.takeStop();
        break;
    }
  }

  attach(vm: Vm): void {
    this.vm = vm;
    vm.console?.on('data', (chunk: Buffer) => {
      this.hasConsoleOutput = true;
      this.lines.push(chunk);
      this.watchPrompt();
    });
    const report = vm.ports[0];
    if (report !== undefined) this.readReport(report);
    void this.takeEnd(vm);
  }

  close(): void {
    clearTimeout(this.promptTimer);
  }

  /** The guest may still be writing about its failure. */
  wantsMore(): boolean {
    const verdict = this.state.verdict;
    return (
      verdict?.outcome === 'failed' &&
      ['kernel-panic', 'emergency-mode', 'firmware-refused', 'not-bootable'].includes(verdict.reason)
    );
  }

  result(vm: Vm, started: number): BootResult {
    const { state } = this;
    if (state.verdict === undefined) throw new Error('internal: a boot test without a verdict');
    return {
      verdict: state.verdict,
      channel: state.channel,
      accelerator: state.accelerator,
      systemState: state.systemState,
      failedUnits: state.failedUnits,
      phases: state.times === undefined ? {} : bootPhases(state.times),
      secondsToReport: this.reportedAt === undefined ? undefined : seconds(this.reportedAt - started),
      seconds: seconds(performance.now() - started),
      consoleTail: this.consoleTail(),
      commandLine: vm.commandLine,
    };
  }

  /** A guest that waits for an answer has not ended its last line. */
  private consoleTail(): readonly string[] {
    const unfinished = this.lines.unfinished().trimEnd();
    return unfinished === '' ? this.tail.values() : [...this.tail.values(), unfinished].slice(-tailLines);
  }

  private readReport(port: Socket): void {
    const lines = new LineSplitter((line) => {
      const record = parseRecord(line);
      if (record !== undefined) this.take({ type: 'record', record });
    });
    port.on('data', (chunk: Buffer) => lines.push(chunk));
  }

  private watchPrompt(): void {
    clearTimeout(this.promptTimer);
    this.promptTimer = setTimeout(() => {
      const line = this.lines.unfinished();
      if (line !== '') this.take({ type: 'console', line });
    }, promptMilliseconds);
  }

  /** QEMU does not say why it stopped unless it is asked. */
  private async takeStop(): Promise<void> {
    try {
      const reply = await this.vm?.qmp.execute('query-status');
      this.take({ type: 'stopped', status: text(member(reply, 'status')) });
    } catch {
      // Gone: takeEnd() tells.
    }
  }

  private async takeEnd(vm: Vm): Promise<void> {
    // Events that QEMU sent last say more than its exit code.
    const [end] = await Promise.all([vm.ended, vm.qmp.closed]);
    this.take({ type: 'exited', ...end });
  }
}

function logConsole(console: Socket | undefined, path: HostPath): { close(): Promise<void> } {
  const file = createWriteStream(path);
  let written = 0;
  const write = (chunk: Buffer): void => {
    if (written < consoleLogLimit) file.write(chunk);
    written += chunk.length;
  };
  console?.on('data', write);
  return {
    close: async () => {
      console?.off('data', write);
      file.end();
      await finished(file);
    },
  };
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 100) / 10;
}
