import type { HostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { findOnPath } from '../sandbox/lookup.ts';
import type { ToolsRoot } from '../sandbox/types.ts';
import { findDirectoryServer } from './companions.ts';
import { findFirmware } from './firmware.ts';
import type { BootSource } from './image.ts';
import { needsFirmware } from './machine-request.ts';
import type { Machine } from './machines/machine.ts';

/** What `ToolsTree=` says; undefined where it is not set. */
export type ToolsTreeSetting = HostPath | 'default' | 'no' | undefined;

/**
 * Where QEMU and what belongs to it come from: what `ToolsTree=` says; without it the host if it has everything that
 * this machine needs, else mkimg's own tools tree.
 * @param buildTree makes the tools tree, or finds it made.
 */
export async function chooseMachineTools(
  setting: ToolsTreeSetting,
  needs: { readonly machine: Machine; readonly source: BootSource },
  buildTree: () => Promise<ToolsRoot>,
): Promise<ToolsRoot> {
  if (setting === 'no') return { kind: 'host' };
  if (setting === 'default') return buildTree();
  if (setting !== undefined) return { kind: 'tree', path: setting };
  return (await hostCanRun(needs.machine, needs.source)) ? { kind: 'host' } : buildTree();
}

async function hostCanRun(machine: Machine, source: BootSource): Promise<boolean> {
  if ((await findOnPath(machine.program)) === undefined) return false;
  const host: ToolsRoot = { kind: 'host' };
  try {
    if (needsFirmware(machine, source)) {
      await findFirmware(machine, host, { secureBoot: source.firmware === 'uefi-secure-boot' });
    }
    if (source.rootDirectory !== undefined) await findDirectoryServer(host);
    return true;
  } catch (error) {
    if (error instanceof MkimgError && ['firmware-missing', 'tool-missing'].includes(error.code))
      return false;
    throw error;
  }
}
