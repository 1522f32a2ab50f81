import { MkimgError } from '../base/errors.ts';
import { bubblewrapArgv } from './bubblewrap.ts';
import { emulatedArgv, emulatorFault } from './emulation.ts';
import type { ProgramResult } from './process.ts';
import { namespaceArgv } from './namespace.ts';
import { remountCommands } from './overlay.ts';
import { shellCommand } from './text.ts';
import type { PrivilegeMode, RunRequest, SandboxSpec } from './types.ts';

export interface FailedRun {
  readonly mode: PrivilegeMode;
  readonly spec: SandboxSpec;
  readonly request: RunRequest;
  readonly result: ProgramResult;
}

/** The error for a program that failed in its sandbox: what it was for, how it ended, what to do next. */
export function explainFailure({ mode, spec, request, result }: FailedRun): MkimgError {
  const { hint, how } = ending(request, result);
  return new MkimgError('tool-failed', `${request.tool} failed while ${request.purpose}: ${how}.`, {
    ...(hint === undefined ? {} : { hint }),
    tail: result.tail,
    reenter: reenterCommand(mode, spec),
  });
}

/** What to do where the kernel keeps no list of interpreters for each user namespace. */
export const emulatorHint =
  'Let the machine itself start programs of other architectures: apt install qemu-user-binfmt (Debian 13 and later).';

interface Ending {
  readonly how: string;
  readonly hint?: string;
}

function ending(request: RunRequest, result: ProgramResult): Ending {
  const { exitCode, signal, tail } = result;
  if (signal !== undefined) return { how: `its sandbox was ended by ${signal}` };
  const last = tail.at(-1) ?? '';
  if (last.startsWith('bwrap: execvp') && last.endsWith('No such file or directory')) {
    const where = request.root === undefined ? 'among the tools' : 'in the image';
    return {
      how: 'there is no such program',
      hint: `Check that ${request.tool} and its interpreter are ${where}.`,
    };
  }
  if (last === emulatorFault) {
    return {
      how: `the emulator could not be registered (${tail.at(-2) ?? 'no reason given'})`,
      hint: emulatorHint,
    };
  }
  if (last.startsWith('bwrap: ')) return { how: `its sandbox could not be set up (${last.slice(7)})` };
  // 128 + SIGKILL, as shells and bwrap report it.
  if (exitCode === 137) return { how: 'it was killed', hint: 'The machine may have run out of memory.' };
  if (exitCode === 127) {
    return { how: 'exit code 127', hint: 'A command was not found; the last lines name it.' };
  }
  return { how: `exit code ${String(exitCode)}` };
}

/**
 * A command line for a terminal that opens a shell in the same sandbox, as the user who runs mkimg. Mounts that only
 * mkimg's own namespace has are made again. The seccomp filter is left out, for it would need a descriptor.
 */
export function reenterCommand(mode: PrivilegeMode, spec: SandboxSpec): string {
  const inner = [...bubblewrapArgv(spec, {}), 'sh'];
  const sandbox = shellCommand(spec.emulator === undefined ? inner : emulatedArgv(spec.emulator, inner));
  const remounts = remountCommands(seenPaths(spec));
  if (remounts.length === 0) {
    return mode === 'root' ? sandbox : `${shellCommand(namespaceArgv(mode))} ${sandbox}`;
  }
  const script = [...remounts, `cd / && exec ${sandbox}`].join(' && ');
  return shellCommand([...namespaceArgv(mode), 'sh', '-c', script]);
}

function seenPaths(spec: SandboxSpec): readonly string[] {
  return [
    ...spec.mounts.map((mount) => mount.source),
    ...(spec.root === undefined ? [] : [spec.root]),
    ...(spec.tools.kind === 'tree' ? [spec.tools.path] : []),
  ];
}
