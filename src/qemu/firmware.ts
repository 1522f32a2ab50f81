import { MkimgError } from '../base/errors.ts';
import { lstatIfExists } from '../base/files.ts';
import type { ToolsRoot } from '../sandbox/types.ts';
import type { VmFirmware } from './argv.ts';
import type { Machine } from './machines/machine.ts';

/** Looks at the tools without following their links out of the tree: only the name itself is asked for. */
export async function toolsHave(tools: ToolsRoot, path: string): Promise<boolean> {
  return (await lstatIfExists(tools.kind === 'host' ? path : tools.path + path)) !== undefined;
}

/** What a firmware has to be able to do. */
export interface FirmwareWish {
  readonly secureBoot: boolean;
  /** Its template of variables trusts the keys of Microsoft. */
  readonly hasMicrosoftKeys?: boolean;
}

/**
 * The first firmware of the machine's table that the tools have.
 * @throws MkimgError `firmware-missing`, `no-machine` for machines without UEFI.
 */
export async function findFirmware(
  machine: Machine,
  tools: ToolsRoot,
  { secureBoot, hasMicrosoftKeys = false }: FirmwareWish,
): Promise<VmFirmware> {
  if (machine.firmware === undefined) {
    throw new MkimgError('no-machine', `there is no UEFI firmware for ${machine.architecture}`, {
      hint: 'Leave out Firmware=, or start the kernel directly with Firmware=linux.',
      class: 'usage',
    });
  }
  const candidates = secureBoot ? machine.firmware.secureBoot : machine.firmware.plain;
  for (const { code, variables: plain, microsoft } of candidates) {
    const variables = hasMicrosoftKeys ? microsoft : plain;
    if (variables === undefined) continue;
    if ((await toolsHave(tools, code)) && (await toolsHave(tools, variables))) {
      return { code, variables, secureBoot };
    }
  }
  const keys = hasMicrosoftKeys ? ' and the keys of Microsoft' : '';
  const what = `UEFI firmware${secureBoot ? ' with Secure Boot' : ''}${keys}`;
  throw new MkimgError('firmware-missing', `no ${what} for ${machine.architecture} among the tools`, {
    hint: `Install the package '${machine.packages.firmware ?? ''}', or use ToolsTree=default.`,
  });
}
