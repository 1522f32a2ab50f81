import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { MkimgError } from '../base/errors.ts';
import type { EventSink, RunEvent } from '../base/events.ts';
import { currentMode } from '../sandbox/namespace.ts';

/**
 * Writes events to a file, one JSON object a line, each at once: a run that is killed leaves all that was said.
 * @throws MkimgError `events-file` when the file cannot be written.
 */
export function openEventLog(path: string): EventSink & AsyncDisposable {
  const file = open(path);
  return {
    emit: (event) => {
      if (!isInnerFrame(event)) writeSync(file, `${JSON.stringify(event)}\n`);
    },
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

/**
 * True for the beginning and end of the run in the process that was started again in a namespace: the outer process tells
 * of both, and a run has one beginning and one end.
 */
export function isInnerFrame({ type }: RunEvent): boolean {
  return currentMode() !== undefined && (type === 'run-started' || type === 'run-finished');
}

/** The outer and the inner process of one run write to the same file in turn. */
function open(path: string): number {
  const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants;
  const fresh = currentMode() === undefined ? O_TRUNC : 0;
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_APPEND | fresh, 0o666);
  } catch (error) {
    throw new MkimgError('events-file', `cannot write events to ${path}`, { class: 'usage', cause: error });
  }
}
