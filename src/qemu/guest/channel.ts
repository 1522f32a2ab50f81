import type { Duplex } from 'node:stream';
import type { GuestAnswer, GuestRecord } from './report.ts';
import { parseAgentLine } from './report.ts';

/** What a script did in the guest. */
export interface ScriptEnd {
  readonly status: number;
  /** Lines joined by newlines, without newlines at the end. */
  readonly stdout: string;
  readonly stderr: string;
  /** More came than is kept. */
  readonly isCut: boolean;
}

export interface GuestScript {
  readonly text: string;
  /** The program that runs it, with at most one argument; it gets the path of the script behind them. */
  readonly interpreter: readonly string[];
}

/** Bytes of a script; the agent's shell reads it one by one. */
export const longestScript = 64 * 1024;
/** UTF-16 units of each output of a script that are kept. */
const outputLimit = 1024 * 1024;

interface Pending {
  readonly out: Collected;
  readonly err: Collected;
  resolve(end: ScriptEnd): void;
}

interface Collected {
  readonly lines: string[];
  length: number;
  isCut: boolean;
}

export interface ChannelOptions {
  /** What the loader in the guest becomes, in lines. */
  readonly agent: string;
  readonly newId: () => string;
  readonly onRecord: (record: GuestRecord) => void;
}

/**
 * The host's end of the port to the agent: requests and their answers, and what the agent says by itself. Memory is
 * bounded whatever the guest writes: a line has a longest length, an output a largest size, and what is no answer to an
 * open request is dropped.
 */
export class GuestChannel {
  private readonly port: Duplex;
  private readonly pending = new Map<string, Pending>();
  private readonly newId: () => string;
  /** Requests to an agent that has not begun. */
  private waiting: string[] | undefined = [];

  constructor(port: Duplex, token: string, { agent, newId, onRecord }: ChannelOptions) {
    this.port = port;
    this.newId = newId;
    const lines = new PortLines((line) => {
      const said = parseAgentLine(token, line);
      if (said === undefined) return;
      if ('id' in said) {
        this.takeAnswer(said);
        return;
      }
      // Each time that the guest starts.
      if (said.event === 'hello') this.begin(agent);
      onRecord(said);
    });
    port.on('data', (chunk: Buffer) => lines.push(chunk));
  }

  /** Runs a script as root; resolves when it has ended, and never if the guest does not say so. */
  run(script: GuestScript): Promise<ScriptEnd> {
    // Random, so that nothing that was written before can answer.
    const id = this.newId();
    return new Promise((resolve) => {
      this.pending.set(id, { out: nothing(), err: nothing(), resolve });
      this.send(requestText(id, script));
    });
  }

  /** Asks for an orderly power-off. */
  powerOff(): void {
    this.send('power-off\n');
  }

  /** Asks for an orderly restart. */
  reboot(): void {
    this.send('reboot\n');
  }

  /** The guest has restarted: nobody will answer what is open. */
  forget(): void {
    this.pending.clear();
    this.waiting = [];
  }

  private begin(agent: string): void {
    this.port.write(`${agent}.\n${(this.waiting ?? []).join('')}`);
    this.waiting = undefined;
  }

  private send(text: string): void {
    if (this.waiting === undefined) this.port.write(text);
    else this.waiting.push(text);
  }

  private takeAnswer(answer: GuestAnswer): void {
    const pending = this.pending.get(answer.id);
    if (pending === undefined) return;
    if (answer.event !== 'exit') {
      collect(answer.event === 'out' ? pending.out : pending.err, answer.text);
      return;
    }
    this.pending.delete(answer.id);
    const { out, err } = pending;
    pending.resolve({
      status: answer.status,
      stdout: textOf(out),
      stderr: textOf(err),
      isCut: out.isCut || err.isCut,
    });
  }
}

/** The lines that make the agent run a script. @throws Error for scripts that cannot be sent; see {@link scriptFault} */
export function requestText(id: string, { text, interpreter }: GuestScript): string {
  const fault = scriptFault(text);
  if (fault !== undefined) throw new Error(`internal: a script that ${fault} was to be sent`);
  const body = text.replace(/\n$/, '').split('\n');
  return [`run ${id} ${interpreter.join(' ')}`, ...body.map((line) => `>${line}`), '.', ''].join('\n');
}

/** Why a script cannot be sent, as the end of a sentence; undefined when it can. */
export function scriptFault(text: string): string | undefined {
  if (Buffer.byteLength(text) > longestScript) return `has more than ${longestScript} bytes`;
  return /[\0\uFFFD]/.test(text) ? 'is no text in UTF-8' : undefined;
}

/** The interpreter that the first line of a script asks for; a POSIX shell by default. */
export function interpreterOf(text: string): readonly string[] {
  const [, program, argument] = /^#![ \t]*(\/\S*)(?:[ \t]+(\S+))?[ \t]*\r?(?:\n|$)/.exec(text) ?? [];
  if (program === undefined) return ['/bin/sh'];
  return argument === undefined ? [program] : [program, argument];
}

function nothing(): Collected {
  return { lines: [], length: 0, isCut: false };
}

function collect(output: Collected, line: string): void {
  // A line costs memory also when it is empty.
  const cost = line.length + 16;
  if (output.length + cost > outputLimit) {
    output.isCut = true;
    return;
  }
  output.length += cost;
  output.lines.push(line);
}

function textOf({ lines }: Collected): string {
  return lines.join('\n').replace(/\n+$/, '');
}

/** Cuts what comes from the port into lines; of a line that is longer than any output may be, the rest is dropped. */
class PortLines {
  private readonly decoder = new TextDecoder();
  private readonly onLine: (line: string) => void;
  private pending = '';

  constructor(onLine: (line: string) => void) {
    this.onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    // A carriage return is part of an output, so only newlines count.
    const [first = '', ...rest] = this.decoder.decode(chunk, { stream: true }).split('\n');
    this.append(first);
    for (const part of rest) {
      const line = this.pending;
      this.pending = '';
      this.onLine(line);
      this.append(part);
    }
  }

  private append(text: string): void {
    const room = 2 * outputLimit - this.pending.length;
    if (room > 0) this.pending += text.slice(0, room);
  }
}
