import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { exists } from '../base/files.ts';
import type { ImageConfig } from '../config/project.ts';
import {
  machineOwnerVariables,
  secureBootVariables,
  withFirmwareVariables,
} from '../formats/firmware-variables.ts';
import { resolveInTree } from '../sandbox/resolve.ts';
import type { ToolsRoot } from '../sandbox/types.ts';
import type { VmFirmware } from './argv.ts';

type VariableSettings = Pick<
  ImageConfig,
  'FirmwareVariables' | 'SecureBootCertificate' | 'SecureBootCertificateSource'
>;

/**
 * What the variables of the firmware begin with where `FirmwareVariables=` says so; undefined where the firmware's own template
 * does.
 * @throws MkimgError `no-certificate`, `bad-certificate`, `bad-firmware-variables`
 */
export async function chosenVariables(
  settings: VariableSettings,
  firmware: VmFirmware,
  tools: ToolsRoot,
): Promise<Uint8Array | undefined> {
  const { FirmwareVariables } = settings;
  switch (FirmwareVariables) {
    case undefined:
    // Its template has their keys: findFirmware() took that one.
    case 'microsoft':
      return undefined;
    case 'custom': {
      const variables = secureBootVariables(await trusted(settings));
      return withFirmwareVariables(await templateOf(firmware, tools), variables);
    }
    case 'microsoft-mok': {
      const variables = machineOwnerVariables(await trusted(settings));
      return withFirmwareVariables(await templateOf(firmware, tools), variables);
    }
    default:
      return readFile(FirmwareVariables);
  }
}

async function trusted({
  SecureBootCertificate: file,
  SecureBootCertificateSource: { type },
}: VariableSettings): Promise<Uint8Array> {
  if (file === undefined || type !== 'file') {
    throw new MkimgError('no-certificate', 'FirmwareVariables= needs a certificate to trust', {
      hint: 'Give a file with SecureBootCertificate=, or as mkimg.crt.',
      class: 'usage',
    });
  }
  try {
    return new X509Certificate(await readFile(file)).raw;
  } catch (cause) {
    throw new MkimgError('bad-certificate', `${file} is no X.509 certificate`, {
      hint: 'It has to be one in PEM or DER.',
      class: 'usage',
      cause,
    });
  }
}

async function templateOf({ variables }: VmFirmware, tools: ToolsRoot): Promise<Uint8Array> {
  if (tools.kind === 'host') return readFile(variables);
  return readFile((await resolveInTree(tools.path, variables, 'follow')).path);
}

/** Where a machine's variables come from, and whether they outlive it. */
export interface VariablesRequest {
  readonly firmware?: VmFirmware;
  /** Instead of the firmware's template. */
  readonly firmwareVariables?: Uint8Array;
  /** A file that keeps them from one machine to the next; made when it is not there. */
  readonly firmwareState?: HostPath;
}

/**
 * Writes the file of a machine that may change its variables for good, or begins with others than the template's.
 * @param run the machine's own directory
 * @returns undefined when the template does, whose changes are lost
 */
export async function writeVariables(
  { firmware, firmwareVariables, firmwareState }: VariablesRequest,
  tools: ToolsRoot,
  run: HostPath,
): Promise<HostPath | undefined> {
  if (firmware === undefined || (firmwareVariables === undefined && firmwareState === undefined))
    return undefined;
  const file = firmwareState ?? hostPath(join(run, 'variables'));
  if (!(await exists(file))) {
    await writeFile(file, firmwareVariables ?? (await templateOf(firmware, tools)), { mode: 0o600 });
  }
  return file;
}
