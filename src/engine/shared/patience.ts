import { SharedCacheFault } from './fault.ts';

/** How long a shared cache may keep a build waiting. */
export interface Patience {
  /** Milliseconds until an answer must have begun, and for a record to be there as a whole. */
  readonly answer: number;
  /** Milliseconds after which the pace is judged, again and again. */
  readonly window: number;
  /** Bytes that must have come in such a time: with less, making the result is faster than fetching it. */
  readonly bytesPerWindow: number;
}

export const defaultPatience: Patience = { answer: 10_000, window: 10_000, bytesPerWindow: 1 << 20 };

/** Watches over one transfer; `signal` is aborted when it takes too long. */
export interface Watch extends Disposable {
  readonly signal: AbortSignal;
  /** The answer has begun, or data goes out: from now on the pace counts. */
  begin(): void;
  count(bytes: number): void;
}

/** @param outer aborts as well */
export function watchTransfer(patience: Patience, outer: AbortSignal): Watch {
  const own = new AbortController();
  let moved = 0;
  const give = (reason: string): void => own.abort(new SharedCacheFault(reason));
  let timer = setTimeout(() => give('it does not answer'), patience.answer);
  return {
    signal: AbortSignal.any([outer, own.signal]),
    begin: () => {
      clearTimeout(timer);
      timer = setInterval(() => {
        if (moved < patience.bytesPerWindow) give('it is too slow');
        moved = 0;
      }, patience.window);
    },
    count: (bytes) => {
      moved += bytes;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
