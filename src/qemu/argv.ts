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
  readonly variables: string;
  readonly secureBoot: boolean;
}

/** A kernel that QEMU loads itself; with firmware it may be a unified kernel image. */
export interface VmKernel {
  readonly path: string;
  readonly initrd?: string;
  readonly commandLine?: string;
}

/**
 * Where the serial console goes: `terminal` is QEMU's own standard input and output with its monitor behind Ctrl-A,
 * `output` standard output only, `socket` an inherited file descriptor.
 */
export type VmConsole =
  | { readonly kind: 'terminal' }
  | { readonly kind: 'output' }
  | { readonly kind: 'window' }
  | { readonly kind: 'none' }
  | { readonly kind: 'socket'; readonly fd: number };

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
  /** Connected to QEMU's control protocol (QMP). */
  readonly controlFd: number;
  /** Virtio serial ports: /dev/virtio-ports/NAME in the guest. */
  readonly ports: readonly { readonly name: string; readonly fd: number }[];
  /** Files that each hold one SMBIOS type 11 string. */
  readonly smbiosFiles: readonly string[];
  readonly fwCfgFiles: readonly { readonly name: string; readonly path: string }[];
  readonly network: 'user' | 'none';
  /** Directories served by virtiofsd on these sockets. */
  readonly sharedDirectories: readonly { readonly tag: string; readonly socket: string }[];
  /** Control socket of swtpm. */
  readonly tpmSocket?: string;
  /** The machine ends when the guest restarts or its kernel panics, instead of starting anew. */
  readonly endOnRestart: boolean;
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
    consoleArgv(machine, options.console),
    ['-device', machine.devices.random],
    machine.devices.panic === undefined ? [] : ['-device', machine.devices.panic],
    options.endOnRestart ? ['-action', 'reboot=shutdown,panic=exit-failure'] : [],
    firmwareArgv(machine, options.firmware),
    kernelArgv(options.kernel),
    disksArgv(machine, options.disks),
    portsArgv(machine, options.ports),
    options.smbiosFiles.flatMap((path) => ['-smbios', `type=11,path=${quoteOption(path)}`]),
    options.fwCfgFiles.flatMap((file) => [
      '-fw_cfg',
      `name=${quoteOption(file.name)},file=${quoteOption(file.path)}`,
    ]),
    networkArgv(machine, options.network),
    sharesArgv(machine, options.sharedDirectories),
    tpmArgv(machine, options.tpmSocket),
    options.extra,
  ].flat();
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
    ...(options.sharedDirectories.length > 0 ? ['memory-backend=memory'] : []),
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
  const backend =
    options.sharedDirectories.length > 0
      ? ['-object', `memory-backend-memfd,id=memory,size=${size},share=on`]
      : [];
  return ['-m', `${size}${most}`, ...backend];
}

function consoleArgv(machine: Machine, console: VmConsole): string[] {
  switch (console.kind) {
    case 'terminal':
      return [
        ['-display', 'none'],
        // signal=off: Ctrl-C belongs to the guest.
        ['-chardev', 'stdio,id=console,mux=on,signal=off'],
        ['-serial', 'chardev:console'],
        ['-mon', 'chardev=console,mode=readline'],
      ].flat();
    case 'output':
      return ['-display', 'none', '-chardev', 'stdio,id=console', '-serial', 'chardev:console'];
    case 'socket':
      return [
        ['-display', 'none'],
        ['-chardev', `socket,id=console,fd=${console.fd}`],
        ['-serial', 'chardev:console'],
      ].flat();
    case 'window':
      return [
        ['-display', 'gtk'],
        ...[machine.devices.display, ...machine.devices.input].map((device) => ['-device', device]),
      ].flat();
    case 'none':
      return ['-display', 'none'];
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
    // The template is never written: each machine starts with fresh variables.
    ['-drive', `${variables},format=raw,snapshot=on,file=${quoteOption(firmware.variables)}`],
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
    // Virtio serial numbers hold 20 bytes.
    `serial=${disk.id.slice(0, 20)}`,
    ...(disk.removable === true && model === 'scsi-hd' ? ['removable=on'] : []),
    ...(disk.bootIndex === undefined ? [] : [`bootindex=${disk.bootIndex}`]),
  ];
  return ['-drive', drive.join(','), '-device', device.join(',')];
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

function networkArgv(machine: Machine, network: VmOptions['network']): string[] {
  if (network === 'none') return ['-nic', 'none'];
  return ['-netdev', 'user,id=net0', '-device', `${machine.devices.network},netdev=net0`];
}

function sharesArgv(machine: Machine, shares: VmOptions['sharedDirectories']): string[] {
  return shares.flatMap((share, index) => [
    ...['-chardev', `socket,id=share${index},path=${quoteOption(share.socket)}`],
    ...['-device', `${machine.devices.sharedDirectory},chardev=share${index},tag=${quoteOption(share.tag)}`],
  ]);
}

function tpmArgv(machine: Machine, socket: string | undefined): string[] {
  if (socket === undefined || machine.devices.tpm === undefined) return [];
  return [
    ['-chardev', `socket,id=tpm,path=${quoteOption(socket)}`],
    ['-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ['-device', `${machine.devices.tpm},tpmdev=tpm0`],
  ].flat();
}
