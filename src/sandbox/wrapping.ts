import { MkimgError } from '../base/errors.ts';
import { bubblewrapArgv } from './bubblewrap.ts';
import { emulatedArgv } from './emulation.ts';
import { findOnPath } from './lookup.ts';
import { seccompFilter } from './seccomp.ts';
import type { SandboxSpec } from './types.ts';

/** A command line that starts a program in its sandbox, and what it reads from inherited descriptors. */
export interface Wrapped {
  readonly argv: readonly [string, ...string[]];
  /** Contents of the descriptors from the first one on. */
  readonly descriptors: readonly Uint8Array[];
}

/**
 * Wraps a program in bwrap. bwrap's own arguments go through a descriptor: argv is visible to all users, and the
 * environment in them may hold secrets.
 * @param firstDescriptor number of the first descriptor that bwrap inherits for this.
 * @throws MkimgError `tool-missing` when bubblewrap is not installed on the host.
 */
export async function wrapProgram(
  spec: SandboxSpec,
  program: readonly [string, ...string[]],
  firstDescriptor: number,
): Promise<Wrapped> {
  const bubblewrap = await findOnPath('bwrap');
  if (bubblewrap === undefined) {
    throw new MkimgError('tool-missing', 'Cannot find bwrap, in which mkimg runs all other tools.', {
      hint: 'apt install bubblewrap',
    });
  }
  const filter = seccompFilter({
    suppressSync: spec.suppressSync ?? true,
    suppressChown: spec.suppressChown,
  });
  const options = bubblewrapArgv(spec, filter === undefined ? {} : { seccomp: firstDescriptor + 1 });
  const list = Buffer.from(
    options
      .slice(1, -1)
      .map((argument) => `${argument}\0`)
      .join(''),
  );
  const argv = [bubblewrap, '--args', String(firstDescriptor), '--', ...program] as const;
  return {
    argv: spec.emulator === undefined ? argv : emulatedArgv(spec.emulator, argv),
    descriptors: filter === undefined ? [list] : [list, filter],
  };
}
