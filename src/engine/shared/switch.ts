import type { EventSink } from '../../base/events.ts';
import { faultReason } from './fault.ts';

/**
 * Says whether a shared cache may be asked. The first fault of reading switches it off for the rest of the run, the first
 * fault of writing ends writing; each is told once. What is under way then is aborted.
 */
export interface Switch {
  readonly reading: AbortSignal;
  readonly writing: AbortSignal;
  isWritable(): boolean;
  /** Does something for which the cache is read; undefined when it failed, or the cache is off. */
  read<T>(job: () => Promise<T>): Promise<T | undefined>;
  /** The same for writing. */
  write<T>(job: () => Promise<T>): Promise<T | undefined>;
  /** Off, without a word. */
  close(): void;
}

export interface SwitchOptions {
  /** The cache's address as it may be shown. */
  readonly name: string;
  readonly writable: boolean;
  readonly events: EventSink;
  readonly signal: AbortSignal;
}

export function useSwitch({ name, writable, events, signal }: SwitchOptions): Switch {
  const all = new AbortController();
  const writes = new AbortController();
  const reading = AbortSignal.any([signal, all.signal]);
  const writing = AbortSignal.any([reading, writes.signal]);
  if (!writable) writes.abort();
  const attempt = async <T>(job: () => Promise<T>, part: Part): Promise<T | undefined> => {
    if (isAborted(part)) return undefined;
    try {
      return await job();
    } catch (error) {
      const reason = faultReason(error);
      if (isAborted(part)) return undefined;
      part.end.abort();
      const { code, hint } = part;
      const message = `${part.message} ${name}: ${reason}`;
      events.emit({ type: 'note', level: 'warning', code, message, hint });
      return undefined;
    }
  };
  return {
    reading,
    writing,
    isWritable: () => !writing.aborted,
    read: (job) =>
      attempt(job, {
        ...{ signal: reading, end: all, code: 'shared-cache-unusable' },
        message: 'Cannot use the shared cache',
        hint: 'The build goes on without it.',
      }),
    write: (job) =>
      attempt(job, {
        ...{ signal: writing, end: writes, code: 'shared-cache-not-writable' },
        message: 'Cannot store results in the shared cache',
        hint: 'The build goes on, and still takes results from it. With CacheAccess=read nothing is stored.',
      }),
    close: () => all.abort(),
  };
}

function isAborted({ signal }: Part): boolean {
  return signal.aborted;
}

interface Part {
  readonly signal: AbortSignal;
  readonly end: AbortController;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}
