import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { TemporaryDirectory } from '../base/temporary.ts';
import { temporaryDirectory } from '../base/temporary.ts';
import { currentMode } from '../sandbox/namespace.ts';
import { isInnerFrame } from './event-log.ts';
import type { TimedEvent } from './trace.ts';
import { chromeTrace } from './trace.ts';

/** Tells the process in the namespace where to leave its part of the trace. */
const partVariable = 'MKIMG_TRACE_PART';

/**
 * Writes the run as a trace to `path` when it is over. The process in the namespace hands its events to the outer one, which
 * alone writes to the file: it may be a pipe, or a descriptor that only the outer process has. What is there already is
 * written over in place, never replaced by another file, so that devices stay what they are.
 * @throws MkimgError `trace-file` when the file cannot be opened.
 */
export async function openTrace(path: string): Promise<EventSink & AsyncDisposable> {
  return currentMode() === undefined ? outerTrace(path) : innerTrace();
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

async function outerTrace(path: string): Promise<EventSink & AsyncDisposable> {
  const file = openTarget(path);
  const events: TimedEvent[] = [];
  const directory = await temporaryDirectory(tmpdir(), 'mkimg-trace-');
  const part = join(directory.path, 'part');
  process.env[partVariable] = part;
  return {
    emit: (event) => void events.push({ at: now(), event }),
    [Symbol.asyncDispose]: async () => {
      await using _directory: TemporaryDirectory = directory;
      const all = [...events, ...readPart(part)].sort((left, right) => left.at - right.at);
      await writeTarget(file, `${JSON.stringify(chromeTrace(all))}\n`);
    },
  };
}

/** Each event at once: a process that is killed leaves all that was said. */
function innerTrace(): EventSink & AsyncDisposable {
  const part = process.env[partVariable];
  if (part === undefined) throw new Error('internal: nobody takes this part of the trace');
  const file = openSync(part, 'a', 0o600);
  return {
    emit: (event) => {
      if (event.type === 'output' || event.type === 'step-progress' || isInnerFrame(event)) return;
      writeSync(file, `${JSON.stringify({ at: now(), event })}\n`);
    },
    [Symbol.asyncDispose]: () => {
      closeSync(file);
      return Promise.resolve();
    },
  };
}

function readPart(path: string): readonly TimedEvent[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // There was no process in a namespace.
    return [];
  }
  return text.split('\n').flatMap((line) => parseLine(line));
}

/** The last line of a process that was killed may be cut off. */
function parseLine(line: string): readonly TimedEvent[] {
  try {
    return [JSON.parse(line) as TimedEvent];
  } catch {
    return [];
  }
}

/** O_NONBLOCK: a FIFO that nobody reads would hold up the run for ever; so it is an error. */
function openTarget(path: string): number {
  const { O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;
  try {
    const file = openSync(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o666);
    if (fstatSync(file).isFile()) ftruncateSync(file);
    return file;
  } catch (error) {
    throw new MkimgError('trace-file', `cannot write a trace to ${path}`, { class: 'usage', cause: error });
  }
}

/** Through a second opening of the same file that may wait: pipes take less at once than a trace has. */
async function writeTarget(file: number, text: string): Promise<void> {
  try {
    const handle = await open(`/proc/self/fd/${file}`, constants.O_WRONLY | constants.O_NOCTTY);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    // The build itself is done: losing its trace is no reason to call it a failure.
    process.stderr.write(`warning: the trace could not be written: ${reason}\n`);
  } finally {
    closeSync(file);
  }
}
