import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { hostPath } from '../base/brand.ts';
import type { HostPath } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { bubblewrapArgv } from './bubblewrap.ts';
import { explainFailure } from './failure.ts';
import type { ProgramResult } from './process.ts';
import { runProgram } from './process.ts';
import { seccompFilter } from './seccomp.ts';
import type { PrivilegeMode, RunRequest, RunResult, Sandbox, SandboxSpec, ToolsRoot } from './types.ts';

export interface SandboxOptions {
  readonly mode: PrivilegeMode;
  readonly tools: ToolsRoot;
  readonly events: EventSink;
  readonly signal?: AbortSignal;
  /** Id of the step that the events belong to. */
  readonly step?: string;
  /** Announce each command as an event. */
  readonly debug?: boolean;
}

/** Binds everything that stays the same for all programs of one step. */
export function createSandbox(options: SandboxOptions): Sandbox {
  return { mode: options.mode, tools: options.tools, run: (request) => runSandboxed(options, request) };
}

async function runSandboxed(options: SandboxOptions, request: RunRequest): Promise<RunResult> {
  const spec = sandboxSpec(options, request);
  const { debug, events, signal, step } = options;
  if (debug === true) {
    events.emit({
      type: 'command',
      ...(step === undefined ? {} : { step }),
      tool: request.tool,
      argv: request.argv,
    });
  }
  const result = await runProgram({
    ...(await wrapped(spec, request)),
    tool: request.tool,
    ...(request.input === undefined ? {} : { input: request.input }),
    ...(request.stdout === undefined ? {} : { stdout: request.stdout }),
    events,
    ...(step === undefined ? {} : { step }),
    ...(signal === undefined ? {} : { signal }),
  });
  return checked({ mode: options.mode, spec, request, result });
}

/** What one run sees: the request's wishes and the defaults that follow from the mode. */
export function sandboxSpec(
  options: Pick<SandboxOptions, 'mode' | 'tools'>,
  request: RunRequest,
): SandboxSpec {
  return {
    tools: options.tools,
    mounts: request.mounts ?? [],
    tmpfs: request.tmpfs ?? [],
    symlinks: request.symlinks ?? [],
    network: request.network ?? false,
    env: request.env ?? {},
    ...(request.workingDirectory === undefined ? {} : { workingDirectory: request.workingDirectory }),
    suppressSync: request.suppressSync ?? true,
    suppressChown: options.mode === 'single-id',
    ...(request.root === undefined ? {} : { root: request.root }),
  };
}

interface Wrapped {
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly descriptors: readonly Uint8Array[];
}

/** bwrap's own arguments go through a descriptor: argv is visible to all users, and the environment may hold secrets. */
async function wrapped(spec: SandboxSpec, request: RunRequest): Promise<Wrapped> {
  const bubblewrap = await findBubblewrap();
  const filter = seccompFilter({
    suppressSync: spec.suppressSync ?? true,
    suppressChown: spec.suppressChown,
  });
  const options = bubblewrapArgv(spec, filter === undefined ? {} : { seccomp: 4 }).slice(1, -1);
  const list = Buffer.from(options.map((argument) => `${argument}\0`).join(''));
  return {
    argv: [bubblewrap, '--args', '3', '--', request.tool, ...request.argv],
    env: {},
    descriptors: filter === undefined ? [list] : [list, filter],
  };
}

/** @throws MkimgError `tool-missing` when bubblewrap is not installed on the host. */
export async function findBubblewrap(): Promise<HostPath> {
  for (const directory of (process.env['PATH'] ?? '/usr/bin').split(':')) {
    const path = join(directory === '' ? '/' : directory, 'bwrap');
    try {
      await access(path, constants.X_OK);
      if (path.startsWith('/')) return hostPath(path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error;
    }
  }
  throw new MkimgError('tool-missing', 'Cannot find bwrap, in which mkimg runs all other tools.', {
    hint: 'apt install bubblewrap',
  });
}

interface Finished {
  readonly mode: PrivilegeMode;
  readonly spec: SandboxSpec;
  readonly request: RunRequest;
  readonly result: ProgramResult;
}

function checked({ mode, spec, request, result }: Finished): RunResult {
  const { exitCode, stdout } = result;
  if (exitCode !== undefined && (request.okExitCodes ?? [0]).includes(exitCode)) return { exitCode, stdout };
  throw explainFailure({ mode, spec, request, result });
}
