import type { EventSink } from '../base/events.ts';
import { explainFailure } from './failure.ts';
import { prepareRoot } from './mount-points.ts';
import type { ProgramResult } from './process.ts';
import { runProgram } from './process.ts';
import type {
  Emulator,
  PrivilegeMode,
  RunRequest,
  RunResult,
  Sandbox,
  SandboxSpec,
  ToolsRoot,
} from './types.ts';
import { wrapProgram } from './wrapping.ts';

export interface SandboxOptions {
  readonly mode: PrivilegeMode;
  readonly tools: ToolsRoot;
  readonly emulator?: Emulator;
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
  await using prepared = await prepareRoot(sandboxSpec(options, request));
  const { spec } = prepared;
  const { debug, events, signal, step } = options;
  if (debug === true) {
    events.emit({
      type: 'command',
      ...(step === undefined ? {} : { step }),
      tool: request.tool,
      argv: request.argv,
    });
  }
  const started = performance.now();
  const result = await runProgram({
    ...(await wrapProgram(spec, [request.tool, ...request.argv], 3)),
    env: {},
    tool: request.tool,
    ...(request.input === undefined ? {} : { input: request.input }),
    ...(request.stdout === undefined ? {} : { stdout: request.stdout }),
    events,
    ...(step === undefined ? {} : { step }),
    ...(signal === undefined ? {} : { signal }),
  });
  events.emit({
    type: 'tool-finished',
    ...(step === undefined ? {} : { step }),
    tool: request.tool,
    argv: request.argv,
    milliseconds: Math.round((performance.now() - started) * 1000) / 1000,
    ...(result.exitCode === undefined ? {} : { exitCode: result.exitCode }),
  });
  return checked({ mode: options.mode, spec, request, result });
}

/** What one run sees: the request's wishes and the defaults that follow from the mode. */
export function sandboxSpec(
  options: Pick<SandboxOptions, 'mode' | 'tools' | 'emulator'>,
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
    ...(options.emulator === undefined ? {} : { emulator: options.emulator }),
  };
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
