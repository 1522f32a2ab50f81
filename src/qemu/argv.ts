import type { PortForward } from '../config/codecs/ports.ts';
import type { Machine } from './machines/machine.ts';

export type Accelerator = 'kvm' | 'tcg';
export type DiskDevice = 'virtio-blk' | 'virtio-scsi' | 'nvme' | 'scsi-cd';

/** A disk of the guest. Paths are as QEMU sees them. */
export interface VmDisk {
  /** Name of the device, also its serial number in the guest. */
  readonly id: string;
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /** `none`: another argument refers to the drive. */
  readonly device: DiskDevice | 'none';
  /** Writes go to a temporary file that vanishes with the machine. */
  readonly discardWrites: boolean;
  readonly readOnly?: boolean;
  readonly removable?: boolean;
  /** Firmware tries to boot from it; lower comes first. */
  readonly bootIndex?: number;
  /** Further options of -drive. */
  readonly options?: string;
}

export interface VmFirmware {
  readonly code: string;
  /** A template, unless `keepsVariables`. */
  readonly variables: string;
  readonly secureBoot: boolean;
  /** What the firmware changes is written to the file. */
  readonly keepsVariables?: boolean;
}

/** A kernel that QEMU loads itself; with firmware it may be a unified kernel image. */
export interface VmKernel {
  readonly path: string;
  readonly initrd?: string;
  readonly commandLine?: string;
}

/** The serial console, on an inherited socket; with `hasMonitor`, Ctrl-A there leads to QEMU itself, as on its own terminal. */
export type VmConsole =
  { readonly kind: 'none' } | { readonly kind: 'socket'; readonly fd: number; readonly hasMonitor: boolean };

/**
 * `hidden`: there is a screen, which can be photographed, but nobody sees it. `spare`: the same, and the kernel need not write
 * there, which would take an emulated machine seconds.
 */
export type VmDisplay = 'none' | 'spare' | 'hidden' | 'window';

/** `interface`: a tap device of the host, which has to be root's. */
export type VmNetwork = 'user' | 'none' | { readonly interface: string };

/** A directory of the host: served by virtiofsd on a socket, or by QEMU itself (9p) from where it sees it. */
export type VmShare = { readonly tag: string } & ({ readonly socket: string } | { readonly path: string });

/** All that decides the command line. File names are as QEMU sees them; descriptors are inherited sockets. */
export interface VmOptions {
  readonly accelerator: Accelerator;
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
  readonly maximumMemory?: number;
  readonly firmware?: VmFirmware;
  readonly kernel?: VmKernel;
  /** QEMU waits for its control socket to set the kernel command line, and then for `x-exit-preconfig`. */
  readonly commandLineByControl: boolean;
  readonly disks: readonly VmDisk[];
  readonly console: VmConsole;
  readonly display: VmDisplay;
  /** Connected to QEMU's control protocol (QMP). */
  readonly controlFd: number;
  /** Virtio serial ports: /dev/virtio-ports/NAME in the guest. */
  readonly ports: readonly { readonly name: string; readonly fd: number }[];
  /** Files that each hold one SMBIOS type 11 string. */
  readonly smbiosFiles: readonly string[];
  readonly fwCfgFiles: readonly { readonly name: string; readonly path: string }[];
  readonly network: VmNetwork;
  readonly forwards: readonly PortForward[];
  readonly sharedDirectories: readonly VmShare[];
  /** The guest's address on the host's vsock(7). */
  readonly vsockCid?: number;
  /** Further options of -machine, such as `cxl=on`. */
  readonly machineOptions: readonly string[];
  /** Control socket of swtpm. */
  readonly tpmSocket?: string;
  /** The machine ends when the guest restarts or its kernel panics, instead of starting anew. */
  readonly endOnRestart: boolean;
  /** A machine whose kernel panics stays as it is, so that it can be looked at. */
  readonly pauseOnPanic?: boolean;
  /** Appended as they are. */
  readonly extra: readonly string[];
}

const mebibyte = 1024 * 1024;

/** QEMU's arguments, without the program's name. */
export function qemuArgv(machine: Machine, options: VmOptions): string[] {
  return [
    machineArgv(machine, options),
    memoryArgv(options),
    ['-nodefaults', '-no-user-config', ...(options.commandLineByControl ? ['-preconfig'] : [])],
    ['-chardev', `socket,id=control,fd=${options.controlFd}`, '-mon', 'chardev=control,mode=control'],
    displayArgv(machine, options.display),
    consoleArgv(options.console),
    ['-device', machine.devices.random],
    machine.devices.panic === undefined ? [] : ['-device', machine.devices.panic],
    actionArgv(options),
    firmwareArgv(machine, options.firmware),
    kernelArgv(options.kernel),
    disksArgv(machine, options.disks),
    portsArgv(machine, options.ports),
    options.smbiosFiles.flatMap((path) => ['-smbios', `type=11,path=${quoteOption(path)}`]),
    options.fwCfgFiles.flatMap((file) => [
      '-fw_cfg',
      `name=${quoteOption(file.name)},file=${quoteOption(file.path)}`,
    ]),
    networkArgv(machine, options),
    vsockArgv(machine, options.vsockCid),
    sharesArgv(machine, options.sharedDirectories),
    tpmArgv(machine, options.tpmSocket),
    options.extra,
  ].flat();
}

function actionArgv({ endOnRestart, pauseOnPanic }: VmOptions): string[] {
  const panic = pauseOnPanic === true ? ['panic=pause'] : endOnRestart ? ['panic=exit-failure'] : [];
  const actions = [...(endOnRestart ? ['reboot=shutdown'] : []), ...panic];
  return actions.length === 0 ? [] : ['-action', actions.join(',')];
}

/** A value inside one of QEMU's comma-separated options: commas are doubled. */
export function quoteOption(value: string): string {
  return value.replaceAll(',', ',,');
}

function machineArgv(machine: Machine, options: VmOptions): string[] {
  const type = [
    machine.type,
    ...(options.firmware?.secureBoot === true && machine.firmware !== undefined
      ? [machine.firmware.secureBootMachineOptions]
      : []),
    ...(options.firmware !== undefined && machine.firmware?.flash === 'properties'
      ? flashDrives.map((drive) => `${drive}=${drive}`)
      : []),
    ...options.machineOptions,
    ...(needsSharedMemory(options) ? ['memory-backend=memory'] : []),
  ];
  return [
    ['-machine', type.join(',')],
    ['-accel', options.accelerator],
    ['-cpu', machine.cpu[options.accelerator]],
    ['-smp', `${options.cpus}`],
  ].flat();
}

function memoryArgv(options: VmOptions): string[] {
  const size = `${Math.ceil(options.memory / mebibyte)}M`;
  const most =
    options.maximumMemory === undefined || options.maximumMemory <= options.memory
      ? ''
      : `,slots=16,maxmem=${Math.ceil(options.maximumMemory / mebibyte)}M`;
  // virtiofsd maps the guest's memory, so it must be shareable.
  const backend = needsSharedMemory(options)
    ? ['-object', `memory-backend-memfd,id=memory,size=${size},share=on`]
    : [];
  return ['-m', `${size}${most}`, ...backend];
}

function consoleArgv(console: VmConsole): string[] {
  if (console.kind === 'none') return [];
  const socket = `socket,id=console,fd=${console.fd}`;
  return [
    ['-chardev', console.hasMonitor ? `${socket},mux=on` : socket],
    ['-serial', 'chardev:console'],
    console.hasMonitor ? ['-mon', 'chardev=console,mode=readline'] : [],
  ].flat();
}

function displayArgv({ devices }: Machine, display: VmDisplay): string[] {
  switch (display) {
    case 'none':
      return ['-display', 'none'];
    case 'spare':
    case 'hidden':
      return ['-display', 'none', '-device', devices.display];
    case 'window':
      return [
        ['-display', 'gtk'],
        ...[devices.display, ...devices.input].map((device) => ['-device', device]),
      ].flat();
  }
}

/** Drives that hold the firmware and its variables, and the properties of machines that take them so. */
const flashDrives = ['pflash0', 'pflash1'] as const;

function firmwareArgv(machine: Machine, firmware: VmFirmware | undefined): string[] {
  if (firmware === undefined) return [];
  const [code, variables] = flashDrives.map((drive, unit) =>
    machine.firmware?.flash === 'properties' ? `if=none,id=${drive}` : `if=pflash,unit=${unit}`,
  );
  return [
    firmware.secureBoot ? (machine.firmware?.secureBootArguments ?? []) : [],
    ['-drive', `${code},format=raw,readonly=on,file=${quoteOption(firmware.code)}`],
    // The template is never written: other machines start with fresh variables.
    [
      '-drive',
      `${variables},format=raw${firmware.keepsVariables === true ? '' : ',snapshot=on'},file=${quoteOption(firmware.variables)}`,
    ],
  ].flat();
}

function kernelArgv(kernel: VmKernel | undefined): string[] {
  if (kernel === undefined) return [];
  return [
    ['-kernel', kernel.path],
    kernel.initrd === undefined ? [] : ['-initrd', kernel.initrd],
    kernel.commandLine === undefined ? [] : ['-append', kernel.commandLine],
  ].flat();
}

function disksArgv(machine: Machine, disks: readonly VmDisk[]): string[] {
  const controller = disks.some((disk) => disk.device === 'virtio-scsi' || disk.device === 'scsi-cd')
    ? ['-device', `${machine.devices.scsi},id=scsi`]
    : [];
  return [...controller, ...disks.flatMap((disk) => diskArgv(machine, disk))];
}

function diskArgv(machine: Machine, disk: VmDisk): string[] {
  const drive = [
    'if=none',
    `id=${disk.id}`,
    `format=${disk.format}`,
    ...(disk.discardWrites ? ['snapshot=on', 'cache=unsafe'] : []),
    ...(disk.readOnly === true ? ['readonly=on'] : []),
    'discard=unmap',
    ...(disk.options === undefined ? [] : [disk.options]),
    `file=${quoteOption(disk.path)}`,
  ];
  if (disk.device === 'none') return ['-drive', drive.join(',')];
  const model = {
    'virtio-blk': machine.devices.block,
    'virtio-scsi': 'scsi-hd',
    'scsi-cd': 'scsi-cd',
    nvme: 'nvme',
  }[disk.device];
  const device = [
    model,
    `drive=${disk.id}`,
    // What QMP calls the device by.
    `id=${diskDevice(disk.id)}`,
    // Virtio serial numbers hold 20 bytes.
    `serial=${disk.id.slice(0, 20)}`,
    ...(disk.removable === true && model === 'scsi-hd' ? ['removable=on'] : []),
    ...(disk.bootIndex === undefined ? [] : [`bootindex=${disk.bootIndex}`]),
  ];
  return ['-drive', drive.join(','), '-device', device.join(',')];
}

/** QEMU's name of the device that a disk is in. */
export function diskDevice(id: string): string {
  return `disk-${id}`;
}

function portsArgv(machine: Machine, ports: VmOptions['ports']): string[] {
  if (ports.length === 0) return [];
  return [
    ['-device', `${machine.devices.serialBus},id=ports`],
    ...ports.map((port, index) => [
      ...['-chardev', `socket,id=port${index},fd=${port.fd}`],
      ...['-device', `virtserialport,bus=ports.0,chardev=port${index},name=${port.name}`],
    ]),
  ].flat();
}

function networkArgv(machine: Machine, { network, forwards }: VmOptions): string[] {
  if (network === 'none') return ['-nic', 'none'];
  const device = ['-device', `${machine.devices.network},netdev=net0`];
  if (network !== 'user') {
    return ['-netdev', `tap,id=net0,ifname=${network.interface},script=no,downscript=no`, ...device];
  }
  const rules = forwards.map(
    ({ protocol, host, guest }) => `,hostfwd=${protocol}:127.0.0.1:${host}-:${guest}`,
  );
  return ['-netdev', `user,id=net0${rules.join('')}`, ...device];
}

function vsockArgv({ devices }: Machine, cid: number | undefined): string[] {
  return cid === undefined ? [] : ['-device', `${devices.vsock},guest-cid=${cid}`];
}

function needsSharedMemory({ sharedDirectories }: VmOptions): boolean {
  return sharedDirectories.some((share) => 'socket' in share);
}

function sharesArgv(machine: Machine, shares: VmOptions['sharedDirectories']): string[] {
  return shares.flatMap((share, index) => {
    const tag = quoteOption(share.tag);
    if ('socket' in share) {
      return [
        ...['-chardev', `socket,id=share${index},path=${quoteOption(share.socket)}`],
        ...['-device', `${machine.devices.sharedDirectory},chardev=share${index},tag=${tag}`],
      ];
    }
    // Owners are those that they have on the host, as far as this process may set them.
    const options = `id=share${index},mount_tag=${tag},security_model=none,multidevs=remap`;
    return ['-virtfs', `local,path=${quoteOption(share.path)},${options}`];
  });
}

function tpmArgv(machine: Machine, socket: string | undefined): string[] {
  if (socket === undefined || machine.devices.tpm === undefined) return [];
  return [
    ['-chardev', `socket,id=tpm,path=${quoteOption(socket)}`],
    ['-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ['-device', `${machine.devices.tpm},tpmdev=tpm0`],
  ].flat();
}
