import { StringDecoder } from 'node:string_decoder';
import { longestLine } from './text.ts';

/**
 * Cuts a byte stream into lines in bounded memory: a line longer than {@link longestLine} is handed on cut (one unit
 * longer than the limit, so that the reader can tell), and its rest is dropped. A lone carriage return ends a line too,
 * because progress displays use it; empty pieces between such returns are dropped.
 */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  #pending = '';
  #endedByReturn = false;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    this.#cut(this.#decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)));
  }

  /** Hands on what is left when the stream has ended without a newline. */
  end(): void {
    this.#cut(this.#decoder.end());
    if (this.#pending !== '') this.#finish('\r');
  }

  #cut(text: string): void {
    let start = 0;
    for (const match of text.matchAll(/[\r\n]/g)) {
      this.#append(text.slice(start, match.index));
      this.#finish(match[0]);
      start = match.index + 1;
    }
    this.#append(text.slice(start));
  }

  #append(text: string): void {
    if (text === '') return;
    this.#endedByReturn = false;
    const room = longestLine + 1 - this.#pending.length;
    if (room > 0) this.#pending += text.slice(0, room);
  }

  #finish(end: string): void {
    const line = this.#pending;
    this.#pending = '';
    const isSecondHalf = line === '' && (end === '\r' || this.#endedByReturn);
    this.#endedByReturn = end === '\r';
    if (!isSecondHalf) this.#onLine(line);
  }
}

/** The last few values of a long series. */
export class Ring<T> {
  readonly #size: number;
  #values: T[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  push(value: T): void {
    this.#values.push(value);
    // Trimmed at twice the size, so that a flood of values costs no move of the array for each one.
    if (this.#values.length >= 2 * this.#size) this.#values = this.#values.slice(-this.#size);
  }

  values(): readonly T[] {
    return this.#values.slice(-this.#size);
  }
}
