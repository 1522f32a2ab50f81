import { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { LineSplitter, Ring } from './lines.ts';
import { signalGroup } from './process.ts';
import { printable } from './text.ts';
import type { SandboxSpec } from './types.ts';
import { wrapProgram } from './wrapping.ts';

/** Lines of standard error that are kept for error texts. */
const tailLines = 40;
/** Descriptors 0 to 2 are the standard streams; connected sockets follow. */
export const firstSocket = 3;

/** A program that lives beside this process, such as a virtual machine, and talks with it over sockets. */
export interface LongRunningRequest {
  readonly spec: SandboxSpec;
  readonly tool: string;
  readonly argv: readonly string[];
  /** How many connected sockets the program inherits, as descriptors {@link firstSocket} and following. */
  readonly sockets: number;
  readonly events: EventSink;
}

export interface ProgramEnd {
  /** 128 + the signal's number when a signal ended the program, as shells count. */
  readonly exitCode: number;
  /** Last lines of standard error, oldest first, safe to print. */
  readonly stderr: readonly string[];
}

/** Ends the program and everything it started when it goes out of scope. */
export interface LongRunning extends AsyncDisposable {
  /** This process's ends of the sockets, in order. */
  readonly sockets: readonly Socket[];
  readonly ended: Promise<ProgramEnd>;
  /** Ends the program and everything in its sandbox at once. */
  kill(): void;
}

/**
 * Starts a program in the sandbox and returns while it runs. It is not in the terminal's process group: Ctrl-C reaches
 * this process only.
 * @throws MkimgError `tool-missing`, `tool-failed` when bwrap cannot be started. What fails later is told by `ended`.
 */
export async function startLongRunning(request: LongRunningRequest): Promise<LongRunning> {
  const { spec, sockets } = request;
  const inputsFd = firstSocket + sockets;
  const wrapped = await wrapProgram(spec, [request.tool, ...request.argv], inputsFd);
  const [file, ...args] = wrapped.argv;
  // Loaded late: many verbs start no program, and it is most of what mkimg would load.
  const { execa } = await import('execa');
  const subprocess = execa(file, args, {
    env: {},
    extendEnv: false,
    stdio: [
      ...(['ignore', 'ignore', 'pipe'] as const),
      // A pipe to a child is a pair of connected UNIX sockets (libuv), so these carry data both ways.
      ...Array.from({ length: sockets + wrapped.descriptors.length }, () => 'pipe' as const),
    ],
    buffer: false,
    reject: false,
    detached: true,
  });
  const { pid } = subprocess;
  if (pid === undefined) throw cannotStart((await subprocess).cause);
  for (const [index, content] of wrapped.descriptors.entries()) {
    connected(subprocess.stdio[inputsFd + index]).end(content);
  }
  const ring = new Ring<string>(tailLines);
  const readStderr = readLines(subprocess.stderr, (line) => {
    ring.push(line);
    request.events.emit({ type: 'output', tool: request.tool, stream: 'stderr', line });
  });
  const ended = (async (): Promise<ProgramEnd> => {
    const end = await subprocess;
    await readStderr;
    return { exitCode: end.exitCode ?? 128 + signalNumber(end.signal), stderr: ring.values() };
  })();
  const killAll = (): void => signalGroup(pid, 'SIGKILL');
  // What bwrap began in its last moment.
  subprocess.once('exit', killAll);
  const kill = (): void => {
    if (subprocess.exitCode === null && subprocess.signalCode === null) killAll();
  };
  return {
    sockets: Array.from({ length: sockets }, (_, index) => connected(subprocess.stdio[firstSocket + index])),
    ended,
    kill,
    [Symbol.asyncDispose]: async () => {
      kill();
      await ended;
    },
  };
}

function connected(stream: unknown): Socket {
  if (!(stream instanceof Socket)) throw new Error('internal: an inherited pipe is not a socket');
  // A program that ends early closes its end; `ended` tells about it.
  stream.on('error', () => undefined);
  return stream;
}

async function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): Promise<void> {
  const splitter = new LineSplitter((line) => onLine(printable(line)));
  stream.on('data', (chunk: Uint8Array) => splitter.push(chunk));
  await finished(stream).catch(() => undefined);
  splitter.end();
}

function signalNumber(signal: string | undefined): number {
  return signal === 'SIGKILL' ? 9 : 15;
}

function cannotStart(cause: unknown): MkimgError {
  const reason = isErrno(cause, 'ENOENT') ? 'there is no such program' : String(cause);
  return new MkimgError('tool-failed', `Cannot start bwrap: ${reason}.`, { cause });
}
