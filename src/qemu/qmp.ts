import type { Duplex } from 'node:stream';
import type { Json } from '../base/canonical.ts';
import { isObject } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, Json | undefined>>;
}

interface Pending {
  resolve(value: Json): void;
  reject(error: Error): void;
}

/** Longest line taken from QEMU. Its largest replies (schema, block statistics) stay far below. */
const longestLine = 8 * 1024 * 1024;

/**
 * Client of QEMU's machine protocol on a connected stream. Events come between replies; the end of the stream means
 * that QEMU is gone, and rejects what is still open with MkimgError `qemu-gone`.
 */
export class QmpClient implements Disposable {
  /** Settles when the stream has ended. */
  readonly closed: Promise<void>;
  private readonly stream: Duplex;
  private readonly onEvent: (event: QmpEvent) => void;
  private readonly pending = new Map<string, Pending>();
  private greeting: Pending | undefined;
  private readonly greeted: Promise<Json>;
  private next = 1;
  private ended = false;
  private rest = '';

  constructor(stream: Duplex, onEvent: (event: QmpEvent) => void) {
    this.stream = stream;
    this.onEvent = onEvent;
    this.greeted = new Promise((resolve, reject) => {
      this.greeting = { resolve, reject };
    });
    // Whoever does not wait for the greeting must not die of its failure.
    this.greeted.catch(() => undefined);
    this.closed = new Promise((resolve) => {
      const end = (): void => {
        this.end();
        resolve();
      };
      stream.on('end', end);
      stream.on('close', end);
      // EPIPE and ECONNRESET are how a socketpair says that QEMU died; its own error text says why.
      stream.on('error', end);
    });
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => this.take(chunk));
  }

  /** Waits for the greeting and leaves negotiation mode. Returns QEMU's version, such as `10.0.13`. */
  async negotiate(): Promise<string> {
    const greeting = await this.greeted;
    await this.execute('qmp_capabilities');
    const version = member(member(member(greeting, 'QMP'), 'version'), 'qemu');
    return ['major', 'minor', 'micro'].map((part) => text(member(version, part))).join('.');
  }

  /** Runs a command. @throws MkimgError `qmp-error` with QEMU's text, `qemu-gone`. */
  execute(command: string, parameters?: Readonly<Record<string, Json>>): Promise<Json> {
    if (this.ended) return Promise.reject(gone());
    const id = `mkimg-${this.next++}`;
    const request = { execute: command, ...(parameters === undefined ? {} : { arguments: parameters }), id };
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.stream.write(`${JSON.stringify(request)}\n`);
    });
  }

  [Symbol.dispose](): void {
    this.end();
    this.stream.destroy();
  }

  private take(chunk: string): void {
    this.rest += chunk;
    const lines = this.rest.split('\n');
    this.rest = lines.pop() ?? '';
    if (this.rest.length > longestLine) this.stream.destroy();
    for (const line of lines) this.takeLine(line);
  }

  private takeLine(line: string): void {
    if (line.trim() === '') return;
    let message: Json;
    try {
      message = JSON.parse(line) as Json;
    } catch {
      // Not the protocol: there is nothing to be gained from going on.
      this.stream.destroy();
      return;
    }
    if (member(message, 'QMP') !== undefined) this.greeting?.resolve(message);
    else if (member(message, 'event') !== undefined) this.onEvent(eventOf(message));
    else this.takeReply(message);
  }

  private takeReply(message: Json): void {
    const id = member(message, 'id');
    const pending = typeof id === 'string' ? this.pending.get(id) : undefined;
    if (pending === undefined || typeof id !== 'string') return;
    this.pending.delete(id);
    const error = member(message, 'error');
    if (error === undefined) {
      pending.resolve(member(message, 'return') ?? null);
      return;
    }
    pending.reject(new MkimgError('qmp-error', `QEMU refused a command: ${text(member(error, 'desc'))}`));
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    this.greeting?.reject(gone());
    for (const pending of this.pending.values()) pending.reject(gone());
    this.pending.clear();
  }
}

function gone(): MkimgError {
  return new MkimgError('qemu-gone', 'QEMU has ended');
}

function eventOf(message: Json): QmpEvent {
  const data = member(message, 'data');
  return { name: text(member(message, 'event')), data: isObject(data) ? data : {} };
}

/** A member of a JSON object; undefined for anything else. */
export function member(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) ? value[name] : undefined;
}

/** Text of a string or number; empty for anything else. */
export function text(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
