import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { Ring } from '../../sandbox/lines.ts';
import { ConsoleLines } from '../console.ts';
import type { QmpEvent } from '../qmp.ts';
import { member, text } from '../qmp.ts';
import type { Vm } from '../vm.ts';
import { agentFor } from './agent.ts';
import { GuestChannel } from './channel.ts';
import type { BootState, GuestEvent } from './verdict.ts';
import { advance } from './verdict.ts';

const tailLines = 30;
/** Lines that a test may still look at when it comes to them. */
const rememberedLines = 2000;
/** How long an unfinished line must stand still before it counts as a prompt. */
const promptMilliseconds = 500;

/** A line of the console and how many came before it. */
export interface NumberedLine {
  readonly number: number;
  readonly text: string;
}

/** Turns everything that comes from a machine into events, and keeps what its judges need. */
export class GuestWatch {
  hasConsoleOutput = false;
  /** QEMU is gone. */
  hasEnded = false;
  /** The host's end of the agent's port; undefined for guests with a console alone. */
  channel: GuestChannel | undefined;
  state: BootState;
  /** When the guest's report was complete, on performance.now()'s clock. */
  reportedAt: number | undefined;
  /** Lines of the console that have ended. */
  lineCount = 0;
  private vm: Vm | undefined;
  private readonly token: string;
  private readonly listeners = new Set<() => void>();
  private readonly remembered = new Ring<NumberedLine>(rememberedLines);
  private readonly lines = new ConsoleLines((line) => this.takeLine(line));
  private promptTimer: NodeJS.Timeout | undefined;

  constructor(state: BootState, token: string) {
    this.state = state;
    this.token = token;
  }

  /** Waits until the answer is something; asked again at each event. */
  until<T>(answer: () => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = answer();
        if (found === undefined) return;
        this.listeners.delete(look);
        resolve(found);
      };
      this.listeners.add(look);
      look();
    });
  }

  take(event: GuestEvent): void {
    this.state = advance(this.state, event);
    if (this.state.phase === 'reported') this.reportedAt ??= performance.now();
    for (const look of [...this.listeners]) look();
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
      case 'RESET':
        if (text(event.data['reason']) !== 'guest-reset') break;
        this.channel?.forget();
        this.reportedAt = undefined;
        this.take({ type: 'reset' });
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
    const [port] = vm.ports;
    if (port !== undefined) this.channel = this.openChannel(port);
    void this.takeEnd(vm);
  }

  close(): void {
    clearTimeout(this.promptTimer);
  }

  /** Lines of the console from a number on, an unfinished one included. */
  linesFrom(number: number): readonly NumberedLine[] {
    const unfinished = this.lines.unfinished();
    return [
      ...this.remembered.values().filter((line) => line.number >= number),
      ...(unfinished === '' ? [] : [{ number: this.lineCount, text: unfinished }]),
    ];
  }

  /** Last lines of the console. A guest that waits for an answer has not ended the last one. */
  consoleTail(): readonly string[] {
    return this.linesFrom(this.lineCount - tailLines)
      .map((line) => line.text.trimEnd())
      .filter((line) => line !== '')
      .slice(-tailLines);
  }

  private openChannel(port: Socket): GuestChannel {
    return new GuestChannel(port, this.token, {
      agent: agentFor(this.state.channel, this.token),
      newId: () => randomUUID().slice(0, 8),
      onRecord: (record) => this.take({ type: 'record', record }),
    });
  }

  private takeLine(line: string): void {
    this.remembered.push({ number: this.lineCount++, text: line });
    this.take({ type: 'console', line });
  }

  private watchPrompt(): void {
    this.promptTimer ??= setTimeout(() => this.takePrompt(), promptMilliseconds);
    this.promptTimer.refresh();
  }

  private takePrompt(): void {
    const line = this.lines.unfinished();
    if (line !== '') this.take({ type: 'console', line });
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
    this.hasEnded = true;
    this.take({ type: 'exited', ...end });
  }
}
