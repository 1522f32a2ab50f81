import type { EventSink, RunEvent } from '../../base/events.ts';

export interface ReporterOptions {
  readonly json: boolean;
  readonly debug: boolean;
}

/** Turns the events of a run into text on standard error: NDJSON with `json`, plain lines otherwise. */
export function createReporter(
  options: ReporterOptions,
  stderr: NodeJS.WriteStream,
): EventSink & AsyncDisposable {
  return {
    emit(event) {
      const line = options.json ? JSON.stringify(event) : plainLine(event, options.debug);
      if (line !== undefined) stderr.write(`${line}\n`);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function plainLine(event: RunEvent, debug: boolean): string | undefined {
  switch (event.type) {
    case 'step-started':
    case 'step-finished':
    case 'step-failed':
    case 'step-hit':
      return `${event.type.slice('step-'.length)}: ${event.label}`;
    case 'note':
      return event.level === 'warning' ? `warning: ${event.message}` : event.message;
    case 'artifact':
      return `${event.state}: ${event.path}`;
    case 'output':
      return debug ? `${event.tool}: ${event.line}` : undefined;
    default:
      return undefined;
  }
}
