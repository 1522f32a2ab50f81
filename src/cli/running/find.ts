import type { RunningMachine } from '../../qemu/running/registry.ts';
import { findMachine } from '../../qemu/running/registry.ts';
import { selectImage } from '../session/images.ts';
import { readProject } from '../session/project.ts';
import type { VerbContext } from '../verb.ts';
import { machineNameOf, ownRegistry } from './names.ts';

/** The machine that runs for the project and the image that the verb acts on. @throws MkimgError `machine-not-running` */
export async function machineOfProject(context: VerbContext): Promise<RunningMachine> {
  const project = await readProject(context);
  const { name } = selectImage(project, context);
  return findMachine(ownRegistry(), machineNameOf(project.main.config.Machine, name));
}
