import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { HostPath } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { LineSplitter, Ring } from './lines.ts';
import { printable } from './text.ts';
import type { LineTaker } from './types.ts';

/** How many of a program's last lines an error shows. */
const tailLines = 40;
/** Milliseconds between the polite signal and the final one. */
const gracePeriod = 5000;
/** Bytes of standard output that `capture` takes before it gives up on the program. */
const captureLimit = 256 * 1024 * 1024;

/** A program to start as it is, without a sandbox. Steps use {@link Sandbox.run} instead. */
export interface ProgramRequest {
  /** The program, looked up on the PATH of `env`, and its arguments. They are visible to all users: no secrets. */
  readonly argv: readonly [string, ...string[]];
  /** Name for events and errors, where argv[0] is only a wrapper. */
  readonly tool?: string;
  /** Complete: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory?: HostPath;
  /** Content of standard input; /dev/null without. */
  readonly input?: string | Uint8Array;
  /** `events`: line by line (default); `capture`: into the result; `file`: written by the program itself; `line`: to that. */
  readonly stdout?: 'events' | 'capture' | { readonly file: HostPath } | LineTaker;
  /** Contents that the program reads from descriptors 3, 4, ... */
  readonly descriptors?: readonly Uint8Array[];
  readonly events: EventSink;
  readonly step?: string;
  readonly signal?: AbortSignal;
}

/** How a program ended. */
export interface ProgramResult {
  /** undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  /** Name of the signal that ended it. */
  readonly signal: string | undefined;
  /** Standard output, for `capture`. */
  readonly stdout: string;
  /** Last lines of both streams (without a captured stdout), oldest first, safe to print. */
  readonly tail: readonly string[];
}

/**
 * Runs a program to its end. A failing exit code is a result, not an error. The program gets a process group of its own,
 * so that a Ctrl-C at the terminal does not reach it: ending it is this process's decision. What is left of the group when
 * the program ends is killed.
 * @throws MkimgError `tool-missing` when there is no such program; `interrupted` when the signal fired.
 */
export async function runProgram(request: ProgramRequest): Promise<ProgramResult> {
  if (request.signal?.aborted === true) throw interrupted();
  const target = await openTarget(request.stdout);
  try {
    return await spawn(request, target?.fd);
  } finally {
    await target?.close();
  }
}

async function spawn(request: ProgramRequest, target: number | undefined): Promise<ProgramResult> {
  const [file, ...args] = request.argv;
  const descriptors = request.descriptors ?? [];
  const tool = request.tool ?? file;
  // Loaded late: many verbs start no program, and it is most of what mkimg would load.
  const { execa } = await import('execa');
  const subprocess = execa(file, args, {
    env: request.env,
    extendEnv: false,
    ...(request.workingDirectory === undefined ? {} : { cwd: request.workingDirectory }),
    stdio: [
      request.input === undefined ? 'ignore' : 'pipe',
      // Execa hands any number on to the kernel as a descriptor; its types know 3 to 9 only.
      (target ?? 'pipe') as 'pipe',
      'pipe',
      ...descriptors.map(() => 'pipe' as const),
    ],
    buffer: false,
    reject: false,
    detached: true,
  });
  const { pid } = subprocess;
  if (pid === undefined) throw cannotStart(tool, await subprocess);
  subprocess.once('exit', () => signalGroup(pid, 'SIGKILL'));
  for (const [fd, content] of [request.input, undefined, undefined, ...descriptors].entries()) {
    feed(subprocess.stdio[fd], content);
  }
  const output = readOutput(request, tool, subprocess);
  return conclude({ pid, signal: request.signal, output, exit: subprocess });
}

async function openTarget(
  stdout: ProgramRequest['stdout'],
): Promise<Awaited<ReturnType<typeof open>> | undefined> {
  return typeof stdout === 'object' && 'file' in stdout ? open(stdout.file, 'w') : undefined;
}

interface ExitState {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly cause?: unknown;
}

function cannotStart(tool: string, state: ExitState): MkimgError {
  if (isErrno(state.cause, 'ENOENT')) {
    return new MkimgError('tool-missing', `Cannot start ${tool}: there is no such program.`, {
      hint: `Install the package that contains ${tool}, or check PATH.`,
      cause: state.cause,
    });
  }
  const reason = state.cause instanceof Error ? state.cause.message : 'unknown reason';
  return new MkimgError('tool-failed', `Cannot start ${tool}: ${reason}`, { cause: state.cause });
}

function interrupted(): MkimgError {
  return new MkimgError('interrupted', 'Interrupted.', { class: 'interrupted' });
}

function feed(stream: unknown, content: string | Uint8Array | undefined): void {
  if (content === undefined || !isWritable(stream)) return;
  // A program may end without reading all of its input; its exit code tells whether that was a fault.
  stream.on('error', () => undefined);
  stream.end(content);
}

function isWritable(stream: unknown): stream is NodeJS.WritableStream {
  return typeof stream === 'object' && stream !== null && 'end' in stream;
}

interface Output {
  /** Resolves when both streams were read to their end. */
  readonly read: Promise<unknown>;
  stdout(): string;
  tail(): readonly string[];
  readonly overflow: AbortSignal;
}

interface OutputStreams {
  readonly stdout: Readable | null | undefined;
  readonly stderr: Readable | null | undefined;
}

function readOutput(request: ProgramRequest, tool: string, streams: OutputStreams): Output {
  const ring = new Ring<string>(tailLines);
  const step = request.step === undefined ? {} : { step: request.step };
  const reading: Promise<unknown>[] = [];
  const told = (stream: 'stdout' | 'stderr') => (text: string) => {
    const line = printable(text);
    ring.push(line);
    request.events.emit({ type: 'output', ...step, tool, stream, line });
  };
  const readLines = (stream: 'stdout' | 'stderr', take: (text: string) => void): void => {
    const splitter = new LineSplitter(take);
    streams[stream]?.on('data', (chunk: Uint8Array) => splitter.push(chunk));
    if (streams[stream]) reading.push(drained(streams[stream]).then(() => splitter.end()));
  };
  const captured = new Capture();
  readLines('stderr', told('stderr'));
  if (request.stdout === 'capture') {
    streams.stdout?.on('data', (chunk: Uint8Array) => captured.push(chunk));
    if (streams.stdout) reading.push(drained(streams.stdout));
  } else {
    const taker = typeof request.stdout === 'object' && 'line' in request.stdout ? request.stdout : undefined;
    readLines('stdout', taker?.line ?? told('stdout'));
  }
  return {
    read: Promise.all(reading),
    stdout: () => captured.text(),
    tail: () => ring.values(),
    overflow: captured.overflow,
  };
}

/** Streams of a program that is killed may end in an error; what was read before counts. */
async function drained(stream: Readable): Promise<void> {
  await finished(stream).catch(() => undefined);
}

class Capture {
  readonly #chunks: Uint8Array[] = [];
  readonly #overflow = new AbortController();
  #bytes = 0;

  get overflow(): AbortSignal {
    return this.#overflow.signal;
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > captureLimit) this.#overflow.abort();
    else this.#chunks.push(chunk);
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

interface Conclusion {
  readonly pid: number;
  readonly signal: AbortSignal | undefined;
  readonly output: Output;
  readonly exit: PromiseLike<ExitState>;
}

async function conclude({ pid, signal, output, exit }: Conclusion): Promise<ProgramResult> {
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    signalGroup(pid, 'SIGTERM');
    killer = setTimeout(() => signalGroup(pid, 'SIGKILL'), gracePeriod);
  };
  signal?.addEventListener('abort', stop, { once: true });
  output.overflow.addEventListener('abort', stop, { once: true });
  // Fired between the check at the start and here.
  if (signal?.aborted === true) stop();
  try {
    const state = await exit;
    await output.read;
    if (signal?.aborted === true) throw interrupted();
    if (output.overflow.aborted) throw new MkimgError('tool-failed', 'A tool wrote far more than expected.');
    return { exitCode: state.exitCode, signal: state.signal, stdout: output.stdout(), tail: output.tail() };
  } finally {
    clearTimeout(killer);
    signal?.removeEventListener('abort', stop);
  }
}

/** Signals a program that was started with a process group of its own, and all that it started; none left is fine. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

/** A program that takes over the terminal. */
export interface AttachedRequest {
  readonly argv: readonly [string, ...string[]];
  /** Complete: nothing is inherited. */
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Runs a program on this process's own terminal and streams, and resolves with its exit code (128 + n for signal n).
 * SIGTERM and SIGHUP are handed on. SIGINT is handed on unless the terminal has sent it to both already.
 * @throws MkimgError `tool-missing` when there is no such program.
 */
export async function runAttached({ argv, env }: AttachedRequest): Promise<number> {
  const [file, ...args] = argv;
  // Loaded late: many verbs start no program, and it is most of what mkimg would load.
  const { execa } = await import('execa');
  const subprocess = execa(file, args, {
    env,
    extendEnv: false,
    stdio: 'inherit',
    buffer: false,
    reject: false,
  });
  const forward = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT' || !isTerminalForeground()) subprocess.kill(signal);
  };
  const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of forwarded) process.on(signal, forward);
  try {
    const state = await subprocess;
    if (state.exitCode !== undefined) return state.exitCode;
    if (state.signal !== undefined) return 128 + constants.signals[state.signal];
    throw cannotStart(file, state);
  } finally {
    for (const signal of forwarded) process.off(signal, forward);
  }
}

/** Whether a Ctrl-C at the controlling terminal reaches this process's group, and with it the program it started. */
function isTerminalForeground(): boolean {
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)?.split(' ') ?? [];
  // proc(5): after the name come state, ppid, pgrp, session, tty_nr, tpgid.
  const [, , group, , , foregroundGroup] = fields;
  return group === foregroundGroup;
}
