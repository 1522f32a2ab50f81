import './lost-directory.ts';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { Resources } from '../base/disposal.ts';
import { ConfigurationError, isErrno, MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { flagRows, oldFormFlagRows } from '../config/settings/table.ts';
import { limitOrphan } from '../sandbox/namespace.ts';
import type { Command } from './arguments.ts';
import { parseArguments } from './arguments.ts';
import { describeOrigin, excerptOf, formatDiagnostics } from './diagnostics.ts';
import { openEventLog, teeEvents } from './event-log.ts';
import { helpText } from './help.ts';
import { createReporter } from './reporters/index.ts';
import { withoutSaidNotes } from './session/said-notes.ts';
import { openTrace } from './trace-recorder.ts';
import { leaveRawMode } from './terminal.ts';
import { defaultVerb, verbs } from './verbs.ts';
import { productVersion } from './version.ts';

/**
 * Exit codes; see design: 0 done, 1 build or boot test failed, 2 usage or configuration, 130 interrupted; 141 as a shell
 * says of a program that SIGPIPE ended.
 */
const exitCodes = { build: 1, usage: 2, interrupted: 130, unread: 141 } as const;

const interruptingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A signal that is sent to the whole process group comes twice to the process in the namespace, for the outer one hands it
 * on: what follows the first this closely is the same wish.
 */
const sameWishMilliseconds = 1000;

// Stands when nothing is left to wait for before there is an answer.
process.exitCode = exitCodes.build;
void main(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode;
});

async function main(argv: readonly string[]): Promise<number> {
  const unread = whenNobodyReads(process.stdout, process.stderr);
  const parsed = parseArguments(argv, {
    verbs,
    flags: [...flagRows, ...oldFormFlagRows],
    defaultVerb,
    workingDirectory: hostPath(process.cwd()),
  });
  if (!parsed.ok) {
    process.stderr.write(formatDiagnostics(parsed.diagnostics));
    return exitCodes.usage;
  }
  const command = parsed.value;
  if (command.version) {
    process.stdout.write(`mkimg ${await productVersion()}\n`);
    return 0;
  }
  if (command.help) {
    process.stdout.write(helpText(verbs, flagRows, command.verb));
    return 0;
  }
  const exitCode = await runCommand(command, parsed.warnings, unread);
  return unread.aborted ? exitCodes.unread : exitCode;
}

async function runCommand(
  command: Command,
  notes: readonly Diagnostic[],
  unread: AbortSignal,
): Promise<number> {
  // Standard output belongs to the answer of verbs that give one.
  const eventStream = command.verb?.answers === true ? process.stderr : process.stdout;
  await using reporter = createReporter(command.options, process.stderr, eventStream);
  try {
    await using sinks = new Resources();
    const { eventsFile, traceFile } = command;
    const log = eventsFile === undefined ? [] : [sinks.use(openEventLog(eventsFile))];
    const trace = traceFile === undefined ? [] : [sinks.use(await openTrace(traceFile))];
    const terse = command.verb?.isTerse?.(command) === true;
    const display = terse ? faultsOnly(reporter) : reporter;
    const events = withoutSaidNotes(teeEvents(display, ...log, ...trace));
    for (const { code, message, hint } of notes)
      events.emit({ type: 'note', level: 'warning', code, message, ...(hint !== undefined && { hint }) });
    return await runVerb(command, events, unread);
  } catch (error) {
    // runVerb() reports what its verb throws: only opening the log can end here.
    reportFailure(error, { events: reporter, command, interrupted: false });
    return exitCodeOf(error);
  }
}

function faultsOnly(sink: EventSink): EventSink {
  return {
    emit: (event) => {
      if (event.type === 'error' || (event.type === 'note' && event.level === 'warning')) sink.emit(event);
    },
  };
}

async function runVerb(command: Command, events: EventSink, unread: AbortSignal): Promise<number> {
  if (command.verb === undefined) throw new Error('internal: neither a verb nor help nor version');
  const started = performance.now();
  const abort = new AbortController();
  const insist = new AbortController();
  using _signals = abortOnSignals([abort, ...(command.verb.isPatient === true ? [insist] : [])]);
  unread.addEventListener('abort', () => abort.abort(interruption('nobody reads the output')));
  events.emit({ type: 'run-started', verb: command.verb.name, version: await productVersion() });
  let exitCode: number;
  try {
    exitCode = await command.verb.run({
      assignments: command.assignments,
      options: command.options,
      words: command.words,
      rest: command.rest,
      events,
      signal: abort.signal,
      insist: insist.signal,
      print: (text) => void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    });
  } catch (error) {
    exitCode = exitCodeOf(error);
    reportFailure(error, { events, command, interrupted: abort.signal.aborted });
  }
  // Also where the process in the namespace was ended before it could answer the signal.
  if (abort.signal.aborted && exitCode !== 0) exitCode = exitCodes.interrupted;
  // ru_maxrss of getrusage(2) counts in KiB.
  events.emit({ type: 'resources', peakMemoryBytes: process.resourceUsage().maxRSS * 1024 });
  events.emit({
    type: 'run-finished',
    ok: exitCode === 0,
    milliseconds: Math.round(performance.now() - started),
    exitCode,
  });
  return exitCode;
}

/** The first signal asks the run to stop, the next one more urgently where there is such a thing; a further one ends the process. */
function abortOnSignals(wishes: readonly AbortController[]): Disposable {
  const left = [...wishes];
  let last: number | undefined;
  const handlers = interruptingSignals.map((signal) => {
    const handler = (): void => {
      const now = performance.now();
      limitOrphan();
      if (last !== undefined && now - last < sameWishMilliseconds) return;
      last = now;
      const wish = left.shift();
      if (wish !== undefined) {
        wish.abort(interruption(`interrupted by ${signal}`));
        return;
      }
      leaveRawMode();
      process.removeListener(signal, handler);
      process.kill(process.pid, signal);
    };
    process.on(signal, handler);
    return { signal, handler };
  });
  return {
    [Symbol.dispose]: () => {
      for (const { signal, handler } of handlers) process.removeListener(signal, handler);
    },
  };
}

function interruption(message: string): MkimgError {
  return new MkimgError('interrupted', message, { class: 'interrupted' });
}

/**
 * Aborted when the reader of a stream is gone, as in `mkimg build 2>&1 | head`. SIGPIPE would end other programs; a build
 * has to clear away what it began.
 */
function whenNobodyReads(...streams: readonly NodeJS.WriteStream[]): AbortSignal {
  const unread = new AbortController();
  for (const stream of streams) {
    stream.on('error', (error) => {
      // EIO: the terminal was closed.
      if (!isErrno(error, 'EPIPE', 'EIO', 'ERR_STREAM_DESTROYED')) throw error;
      unread.abort();
    });
  }
  return unread.signal;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigurationError) return exitCodes.usage;
  return error instanceof MkimgError ? exitCodes[error.class] : exitCodes.build;
}

interface FailureContext {
  readonly events: EventSink;
  readonly command: Command;
  readonly interrupted: boolean;
}

function reportFailure(error: unknown, context: FailureContext): void {
  const { events, command } = context;
  if (context.interrupted) {
    report(interruption('interrupted'), events);
  } else if (error instanceof ConfigurationError) {
    if (!command.options.json) process.stderr.write(formatDiagnostics(error.diagnostics));
    else for (const diagnostic of error.diagnostics) emitDiagnostic(events, diagnostic);
  } else if (error instanceof MkimgError) {
    report(error, events);
  } else {
    report(unexpected(error), events);
    if (command.options.debug && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  }
}

/** Everything that is neither a user's mistake nor a known fault of the world. */
function unexpected(error: unknown): MkimgError {
  const message = error instanceof Error ? error.message : String(error);
  if (isErrno(error, 'ENOSPC')) {
    return new MkimgError('disk-full', message, { hint: 'Make room, for example with `mkimg cache prune`.' });
  }
  if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) return new MkimgError('permission-denied', message);
  return new MkimgError('unexpected', message, {
    hint: 'Run again with --debug for details; if this looks like a fault of mkimg, please report it.',
  });
}

function report(error: MkimgError, events: EventSink): void {
  const location = error.origin === undefined ? undefined : describeOrigin(error.origin);
  const excerpt = error.origin === undefined ? [] : excerptOf([error.origin, ...error.alsoAt]);
  events.emit({
    type: 'error',
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.tail.length === 0 ? {} : { tail: error.tail }),
    ...(error.reenter === undefined ? {} : { reenter: error.reenter }),
    ...(location === undefined ? {} : { location }),
    ...(excerpt.length === 0 ? {} : { excerpt }),
  });
}

function emitDiagnostic(events: EventSink, diagnostic: Diagnostic): void {
  const location = diagnostic.origin === undefined ? undefined : describeOrigin(diagnostic.origin);
  const common = {
    code: diagnostic.code,
    message: diagnostic.message,
    ...(diagnostic.hint === undefined ? {} : { hint: diagnostic.hint }),
  };
  if (diagnostic.severity === 'warning') events.emit({ type: 'note', level: 'warning', ...common });
  else events.emit({ type: 'error', ...common, ...(location === undefined ? {} : { location }) });
}
