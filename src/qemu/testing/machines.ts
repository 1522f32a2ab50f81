import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { BootTestDefinition } from '../../config/tests/definition.ts';
import { hasUefi } from '../../distro/architectures/index.ts';
import { debianReleaseFacts } from '../../distro/tables/debian.ts';
import type { Accelerator } from '../argv.ts';
import { guestChannels } from '../credentials.ts';
import type { GuestChannelKind } from '../guest/agent.ts';
import { chooseChannel } from '../guest/agent.ts';
import { slowMachine } from '../guest/guest.ts';
import type { MachineInputs } from '../machine-request.ts';
import { commandLine, commandLineSpace, describeMachine, needsFirmware } from '../machine-request.ts';
import { systemdVersionOf } from '../systemd-version.ts';
import type { RequestedDisk, VmHost, VmRequest } from '../vm.ts';
import { DiskCopies } from './disk-copies.ts';
import type { BootAction, DescribedMachine } from './session.ts';

/** Everything about a machine but what a test decides itself. */
export type TestInputs = Omit<
  MachineInputs,
  'accelerator' | 'console' | 'display' | 'drives' | 'ephemeral' | 'terminal' | 'tools' | 'unattended'
>;

/** How the guest of an image is talked to. */
export async function channelOf(inputs: TestInputs): Promise<GuestChannelKind> {
  const { config, machine, source } = inputs;
  const words = [...commandLine({ ...inputs, unattended: true }), ...slowMachine];
  const channels = guestChannels(machine.channels, {
    hasFirmware: needsFirmware(machine, source),
    room: commandLineSpace(inputs),
    commandLine: words,
  });
  const systemd =
    (await systemdVersionOf(config.OutputDirectory, config.Output)) ??
    debianReleaseFacts(config.Release).systemd;
  return chooseChannel(systemd, channels.smbios ? undefined : channels.commandLine);
}

export interface TestMachinesRequest {
  readonly steps: BootTestDefinition['steps'];
  readonly inputs: TestInputs;
  /** Those of the images that Image= names. */
  readonly others: ReadonlyMap<string, TestInputs>;
  readonly drives: readonly RequestedDisk[];
  readonly accelerator: Accelerator;
  readonly host: VmHost;
  /** Copies of the images' disks, for tests with more than one machine; otherwise what is written is thrown away. */
  readonly copies: DiskCopies | undefined;
  /** Where TPM and firmware remember things from one machine to the next, likewise. */
  readonly memory: HostPath | undefined;
}

/** Puts together the machine that a Boot= step asks for, with all disks as earlier machines left them. */
export async function describeTestMachine(
  request: TestMachinesRequest,
  action: BootAction,
): Promise<DescribedMachine> {
  const { inputs, others, accelerator, host, copies, steps } = request;
  const image = action.image === undefined ? inputs : others.get(action.image);
  if (image === undefined) throw new Error(`internal: an image that was not prepared: ${action.image ?? ''}`);
  const own = action.drive === undefined ? image : { ...image, source: withoutImage(image) };
  const machine = await describeMachine({
    ...own,
    accelerator,
    tools: host.tools,
    drives: request.drives.map((disk) => plugged(disk, action, steps)),
    ephemeral: true,
    console: 'socket',
    display: needsScreen(steps) ? 'hidden' : 'spare',
    unattended: true,
  });
  return {
    machine: {
      ...machine,
      disks: await keptDisks(machine, action, copies),
      ...(request.memory === undefined ? {} : await rememberedState(request.memory)),
      endOnRestart: !steps.some((step) => step.action.kind === 'power' && step.action.change === 'reboot'),
    },
    channel: await channelOf(own),
  };
}

async function rememberedState(directory: HostPath): Promise<Pick<VmRequest, 'firmwareState' | 'tpmState'>> {
  const tpmState = hostPath(join(directory, 'tpm'));
  await mkdir(tpmState, { recursive: true, mode: 0o700 });
  return { tpmState, firmwareState: hostPath(join(directory, 'variables')) };
}

/** In other tests the screen is there for what goes wrong before there is a kernel. */
function needsScreen(steps: TestMachinesRequest['steps']): boolean {
  return steps.some(({ action }) => action.kind === 'screenshot' || action.kind === 'keys');
}

/** The firmware alone, which starts what it finds on another disk. */
function withoutImage({ source, config }: TestInputs): TestInputs['source'] {
  const { firmware } = source;
  const isUefi = hasUefi(config.Architecture) && config.Firmware !== 'bios';
  return { firmware: firmware === 'none' && isUefi ? 'uefi' : firmware, commandLine: [] };
}

function plugged(
  disk: RequestedDisk,
  action: BootAction,
  steps: TestMachinesRequest['steps'],
): RequestedDisk {
  const isUnplugged = steps.some((step) => step.action.kind === 'unplug' && step.action.drive === disk.id);
  return {
    ...disk,
    // Disks on the machine's own bus stay until it ends.
    ...(isUnplugged ? { device: 'virtio-scsi' as const } : {}),
    ...(action.drive === disk.id ? { bootIndex: 1 } : {}),
  };
}

/**
 * The image's own disk comes first; disks of images that ran before follow. A system that was installed on another disk is
 * alone: an image that it is a copy of has the same identifiers.
 */
async function keptDisks(
  machine: VmRequest,
  action: BootAction,
  copies: DiskCopies | undefined,
): Promise<readonly RequestedDisk[]> {
  if (copies === undefined || action.drive !== undefined) return machine.disks;
  const disks: RequestedDisk[] = [];
  for (const disk of machine.disks) disks.push(disk.discardWrites ? await copies.of(disk) : disk);
  const others = copies
    .all()
    .filter(({ path }) => disks.every((disk) => disk.path !== path))
    .map(withoutBoot);
  return [...disks, ...others];
}

function withoutBoot(disk: RequestedDisk): RequestedDisk {
  const { bootIndex, ...rest } = disk;
  return bootIndex === undefined ? disk : rest;
}
