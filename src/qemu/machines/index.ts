import { MkimgError } from '../../base/errors.ts';
import type { ArchitectureName } from '../../distro/architectures.ts';
import type { Machine } from './machine.ts';
import { x86_64 } from './x86-64.ts';

/** Every machine that mkimg can boot. */
export const machines: readonly Machine[] = [x86_64];

/** The machine for an architecture. @throws MkimgError `no-machine` when mkimg has none. */
export function machineFor(architecture: ArchitectureName): Machine {
  const found = machines.find((machine) => machine.architecture === architecture);
  if (found !== undefined) return found;
  throw new MkimgError('no-machine', `mkimg cannot boot images for ${architecture} yet`, {
    hint: `It boots images for ${machines.map((machine) => machine.architecture).join(', ')}.`,
    class: 'usage',
  });
}
