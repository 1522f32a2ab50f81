import type { EventSink } from '../../base/events.ts';
import { isInnerFrame } from '../event-log.ts';
import { eventLines, noPaint } from './lines.ts';
import { newTally, tally } from './tally.ts';
import { terminalReporter } from './terminal.ts';

export interface ReporterOptions {
  readonly json: boolean;
  readonly debug: boolean;
}

export type Reporter = EventSink & AsyncDisposable;

/**
 * Turns the events of a run into text on standard error: with a live display on a terminal, as plain lines elsewhere. With
 * `json`, each event is one line of JSON on `jsonStream` instead.
 */
export function createReporter(
  options: ReporterOptions,
  stderr: NodeJS.WriteStream,
  jsonStream: NodeJS.WritableStream = process.stdout,
): Reporter {
  if (options.json) return jsonReporter(jsonStream);
  // A serial line does not know its size, and says 0.
  const isScreen = stderr.isTTY && process.env['TERM'] !== 'dumb' && stderr.columns > 0;
  return isScreen ? terminalReporter(stderr, options) : plainReporter(stderr, options);
}

/** NDJSON: the events as they are. */
export function jsonReporter(stream: NodeJS.WritableStream): Reporter {
  return {
    emit: (event) => {
      if (!isInnerFrame(event)) stream.write(`${JSON.stringify(event)}\n`);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** One line for each thing worth saying, in order, for files and pipes. */
export function plainReporter(
  stream: NodeJS.WritableStream,
  { debug }: { readonly debug: boolean },
): Reporter {
  const options = { debug, announceStarts: true, paint: noPaint, tally: newTally() };
  return {
    emit: (event) => {
      tally(options.tally, event);
      for (const line of eventLines(event, options)) stream.write(`${line}\n`);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
