import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { given } from '../base/given.ts';
import { MkimgError } from '../base/errors.ts';
import { exists } from '../base/files.ts';
import { hostFiles } from '../config/files.ts';
import type { RunProgram } from '../config/programs.ts';
import type { BuildableConfig } from '../config/project.ts';
import type { Mount, ToolsRoot } from '../sandbox/types.ts';
import type { Accelerator, VmDisplay } from './argv.ts';
import { tpmProgram } from './companions.ts';
import type { Credential } from './credentials.ts';
import { textCredential } from './credentials.ts';
import { commandLineRoom } from './disk-files.ts';
import { grownSize } from './drives.ts';
import { chosenVariables } from './firmware-variables.ts';
import { findFirmware, toolsHave } from './firmware.ts';
import type { BootSource } from './image.ts';
import type { Machine } from './machines/machine.ts';
import type { RuntimeInputs } from './runtime-options.ts';
import { runtimeOptions } from './runtime-options.ts';
import type { RequestedConsole, RequestedDisk, VmRequest } from './vm.ts';

/** What a machine is made from, besides the settings. */
export interface MachineInputs {
  readonly config: BuildableConfig;
  readonly machine: Machine;
  readonly source: BootSource;
  readonly accelerator: Accelerator;
  readonly tools: ToolsRoot;
  /** Writes to the image's disk are thrown away. */
  readonly ephemeral: boolean;
  /** Disks of Drives=. */
  readonly drives: readonly RequestedDisk[];
  readonly console: RequestedConsole;
  /** Default `none`. */
  readonly display?: VmDisplay;
  /** What is known about the terminal on this side of a serial console. */
  readonly terminal?: { readonly type: string; readonly columns: number; readonly rows: number };
  /** For boot tests: nobody answers questions, the machine ends when the guest restarts, no TPM unless asked for. */
  readonly unattended: boolean;
  /** QemuArgs= and the words after `--`. */
  readonly extraArguments: readonly string[];
  /** Where relative file names in extra arguments begin. */
  readonly workingDirectory: HostPath;
  /** For somebody who works with the machine: whose keys may log in, and its name. */
  readonly guestAccess?: NonNullable<RuntimeInputs['guestAccess']>;
  /** Runs the files of Credentials= that are programs. */
  readonly runProgram: RunProgram;
}

/** Puts a machine together. @throws MkimgError for missing firmware, unreadable credentials or programs of theirs that fail. */
export async function describeMachine(inputs: MachineInputs): Promise<VmRequest> {
  const { config, machine, source, tools, extraArguments } = inputs;
  const firmware = needsFirmware(machine, source)
    ? await findFirmware(machine, tools, {
        secureBoot: source.firmware === 'uefi-secure-boot',
        hasMicrosoftKeys: config.FirmwareVariables?.startsWith('microsoft') === true,
      })
    : undefined;
  const firmwareVariables =
    firmware === undefined ? undefined : await chosenVariables(config, firmware, tools);
  const { request, credentials } = await runtimeOptions(inputs);
  const commandLineDisk = diskForCommandLine(inputs);
  return {
    machine,
    accelerator: inputs.accelerator,
    cpus: config.CPUs === 0 ? availableParallelism() : config.CPUs,
    memory: config.RAM,
    ...given({ firmware, firmwareVariables }),
    ...(source.kernel === undefined ? {} : { kernel: source.kernel }),
    commandLine: commandLine(inputs),
    disks: [...(await imageDisk(inputs)), ...inputs.drives],
    ...(commandLineDisk === undefined ? {} : { commandLineDisk }),
    ...(source.rootDirectory === undefined
      ? {}
      : { rootDirectory: { path: source.rootDirectory, discardWrites: inputs.ephemeral } }),
    credentials: await readCredentials(inputs, credentials),
    console: inputs.console,
    ...(inputs.display === undefined ? {} : { display: inputs.display }),
    ports: [],
    ...request,
    tpm: await wantsTpm(inputs),
    endOnRestart: inputs.unattended,
    extraArguments,
    extraMounts: await mountsForArguments(extraArguments, inputs.workingDirectory),
    ...(extraArguments.length === 0 ? {} : { workingDirectory: inputs.workingDirectory }),
  };
}

/** UEFI firmware has to be there, because it starts the system or because the kernel cannot do without. */
export function needsFirmware(machine: Machine, source: BootSource): boolean {
  return source.firmware !== 'none' || (source.kernel !== undefined && machine.kernelNeedsFirmware === true);
}

/** Words for the kernel: where the root is, where the console is, and the user's. Pure. */
export function commandLine(
  inputs: Pick<MachineInputs, 'config' | 'machine' | 'source' | 'display' | 'terminal' | 'unattended'>,
): string[] {
  const { config, machine, source, terminal } = inputs;
  const tty = machine.console;
  const words = [...source.commandLine];
  words.push(...consoleWords(tty, inputs.display));
  if (terminal !== undefined) {
    words.push(
      `systemd.tty.term.${tty}=${terminal.type}`,
      `systemd.tty.columns.${tty}=${terminal.columns}`,
      `systemd.tty.rows.${tty}=${terminal.rows}`,
    );
  }
  // A rescue shell is useful only if it opens although root has no password.
  if (!inputs.unattended) words.push('SYSTEMD_SULOGIN_FORCE=1');
  return [...words, ...config.KernelCommandLineExtra];
}

/** The last one is /dev/console. A kernel that is told of none writes to its screen alone. */
function consoleWords(tty: string, display: VmDisplay = 'none'): string[] {
  switch (display) {
    case 'none':
    case 'spare':
      return [`console=${tty}`];
    case 'hidden':
      return ['console=tty0', `console=${tty}`];
    case 'window':
      return [`console=${tty}`, 'console=tty0'];
  }
}

/** Bytes of words for the kernel that have room: those of {@link commandLine} and credentials. 0 where nobody can add any. */
export function commandLineSpace(inputs: Pick<MachineInputs, 'machine' | 'source'>): number {
  const { machine, source } = inputs;
  if (source.kernel !== undefined) return source.kernel.unified ? 0 : machine.channels.commandLine - 1;
  return diskForCommandLine({ ...inputs, ephemeral: true })?.room ?? 0;
}

/** The image's disk, where nothing else gives the kernel a command line and its boot loader takes words. */
export function diskForCommandLine({
  machine,
  source,
  ephemeral,
}: Pick<MachineInputs, 'machine' | 'source' | 'ephemeral'>): VmRequest['commandLineDisk'] {
  if (source.disk === undefined || source.kernel !== undefined || source.firmware !== 'none')
    return undefined;
  const room = ephemeral ? commandLineRoom(source.disk, { machine }) : undefined;
  return room === undefined ? undefined : { id: imageDiskId, room };
}

/** The image's own disk in the machine. */
const imageDiskId = 'mkimg';

async function imageDisk(inputs: MachineInputs): Promise<RequestedDisk[]> {
  const { source, ephemeral, config } = inputs;
  if (source.disk === undefined) return [];
  const size = ephemeral ? await grownSize(source.disk, config.RuntimeSize) : undefined;
  return [
    {
      id: imageDiskId,
      path: source.disk,
      // Only SCSI disks can say that they can be removed.
      device: config.Removable && config.DiskType === 'virtio-blk' ? 'virtio-scsi' : config.DiskType,
      ...(config.Removable ? { removable: true } : {}),
      discardWrites: ephemeral,
      bootIndex: 1,
      ...(size === undefined ? {} : { size }),
    },
  ];
}

/** What Credentials= depend on. */
export type CredentialInputs = Pick<MachineInputs, 'runProgram' | 'workingDirectory'> & {
  readonly config: Pick<BuildableConfig, 'Credentials'>;
};

/** The user's, and mkimg's own: lines of both where they have the same name. */
export async function readCredentials(
  inputs: CredentialInputs,
  own: readonly Credential[],
): Promise<Credential[]> {
  const credentials = new Map<string, Credential>();
  for (const credential of inputs.config.Credentials) {
    const { name } = credential;
    credentials.set(
      name,
      'file' in credential
        ? { name, value: await credentialOf(credential.file, inputs) }
        : textCredential(name, credential.value),
    );
  }
  for (const credential of own) {
    const { name, value } = credential;
    const users = credentials.get(name)?.value;
    credentials.set(name, users === undefined ? credential : { name, value: joinedLines(users, value) });
  }
  return [...credentials.values()];
}

function joinedLines(first: Uint8Array, second: Uint8Array): Uint8Array {
  const isEnded = first.length === 0 || first.at(-1) === 0x0a;
  return Buffer.concat([first, Buffer.from(isEnded ? '' : '\n'), second]);
}

/** What a file holds or, where it is a program, what it writes now. */
async function credentialOf(
  file: HostPath,
  { runProgram, workingDirectory }: CredentialInputs,
): Promise<Buffer> {
  if (hostFiles.stat(file)?.executable !== true) return readFile(file);
  const outcome = await runProgram({ program: file, argv: [], directory: workingDirectory });
  if (outcome.ok) return Buffer.from(outcome.output);
  throw new MkimgError('credential-program', `the program of a credential failed: ${outcome.reason}`, {
    origin: { kind: 'path', path: file },
    hint: 'Run it by hand, or make the file not executable if it holds the credential itself.',
  });
}

async function wantsTpm(inputs: MachineInputs): Promise<boolean> {
  const { config, source, machine, tools, unattended } = inputs;
  if (config.TPM !== 'auto') return config.TPM;
  // Measurements cost a boot about a minute in software emulation.
  if (unattended || inputs.accelerator === 'tcg') return false;
  if (source.firmware === 'none' || machine.devices.tpm === undefined) return false;
  return toolsHave(tools, tpmProgram);
}

/**
 * What QEMU must see because the user's arguments name it: the working directory, in which relative names lie, and each
 * absolute path that exists, alone or as the value of an option.
 */
async function mountsForArguments(words: readonly string[], directory: HostPath): Promise<Mount[]> {
  if (words.length === 0) return [];
  const mounts = new Map<string, Mount>();
  if (directory !== '/') mounts.set(directory, visible(directory));
  for (const path of pathsInArguments(words)) {
    const covered = [...mounts.keys()].some((parent) => path === parent || path.startsWith(`${parent}/`));
    if (!covered && (await exists(path))) mounts.set(path, visible(hostPath(path)));
  }
  return [...mounts.values()];
}

function visible(path: HostPath): Mount {
  return { source: path, target: path, mode: path.startsWith('/dev/') ? 'dev' : 'rw' };
}

/** Absolute paths in QEMU's arguments that are not part of the sandbox anyway. Pure. */
export function pathsInArguments(words: readonly string[]): string[] {
  // A comma ends a value, but may also be part of a word that is a path as a whole.
  const candidates = words.flatMap((word) => [
    ...(isAbsolute(word) ? [word] : []),
    ...word.split(',').map((part) => part.replace(/^[^=/]*=/, '')),
  ]);
  const own = ['/usr/', '/proc/', '/sys/', '/run/mkimg/', '/images/'];
  return [...new Set(candidates)].filter(
    (path) =>
      isAbsolute(path) &&
      path === join(path) &&
      path !== '/' &&
      !own.some((prefix) => path.startsWith(prefix)),
  );
}
