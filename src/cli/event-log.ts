import { closeSync, openSync, writeSync } from 'node:fs';
import { MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';

/**
 * Writes events to a file, one JSON object a line, each at once: a run that is killed leaves all that was said.
 * @throws MkimgError `events-file` when the file cannot be written.
 */
export function openEventLog(path: string): EventSink & AsyncDisposable {
  const file = open(path);
  return {
    emit: (event) => void writeSync(file, `${JSON.stringify(event)}\n`),
    [Symbol.asyncDispose]: () => {
      closeSync(file);
      return Promise.resolve();
    },
  };
}

/** Hands each event to all sinks. */
export function teeEvents(...sinks: readonly EventSink[]): EventSink {
  return {
    emit: (event) => {
      for (const sink of sinks) sink.emit(event);
    },
  };
}

function open(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new MkimgError('events-file', `cannot write events to ${path}`, { class: 'usage', cause: error });
  }
}
