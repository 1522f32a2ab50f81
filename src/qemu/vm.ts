import { writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { Resources } from '../base/disposal.ts';
import { given } from '../base/given.ts';
import { MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { PortForward } from '../config/codecs/ports.ts';
import type { LongRunning, ProgramEnd } from '../sandbox/long-running.ts';
import { firstSocket, startLongRunning } from '../sandbox/long-running.ts';
import type { Mount, ToolsRoot } from '../sandbox/types.ts';
import type { Accelerator, VmDisk, VmDisplay, VmKernel, VmNetwork, VmOptions } from './argv.ts';
import { qemuArgv } from './argv.ts';
import type { CompanionHost } from './companions.ts';
import { startTpm } from './companions.ts';
import type { Credential, CredentialPlan } from './credentials.ts';
import { commandLineStrings, guestChannels, planFitting } from './credentials.ts';
import {
  copyName,
  createOverlay,
  diskFile,
  runDirectory,
  vmDisk,
  writeDiskCommandLine,
} from './disk-files.ts';
import type { VariablesRequest } from './firmware-variables.ts';
import { writeVariables } from './firmware-variables.ts';
import { machineDirectory } from './machine-directory.ts';
import type { Machine } from './machines/machine.ts';
import type { QmpEvent } from './qmp.ts';
import { QmpClient } from './qmp.ts';
import type { RequestedShare } from './shares.ts';
import { startShares } from './shares.ts';
import { copySparsely } from './sparse-copy.ts';
import { variablesTarget, vmSandbox } from './vm-sandbox.ts';

/** A virtual machine to start. Paths are the host's; what the machine sees of the host is made from them. */
export interface VmRequest extends VariablesRequest {
  readonly machine: Machine;
  readonly accelerator: Accelerator;
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
  readonly maximumMemory?: number;
  /** Loaded by QEMU. `unified`: a PE image that firmware starts, with a command line of its own. */
  readonly kernel?: { readonly path: HostPath; readonly initrd?: HostPath; readonly unified: boolean };
  /** Words that are added to the kernel command line. */
  readonly commandLine: readonly string[];
  readonly disks: readonly RequestedDisk[];
  /**
   * A disk whose boot loader takes words for the kernel: the id, and bytes of words that have room there. They are written to
   * the disk itself, or to a copy of it where writes are discarded.
   */
  readonly commandLineDisk?: { readonly id: string; readonly room: number };
  /** Served to the guest by virtiofs with the tag `root`; `discardWrites` needs the right to mount. */
  readonly rootDirectory?: { readonly path: HostPath; readonly discardWrites: boolean };
  readonly credentials: readonly Credential[];
  readonly console: RequestedConsole;
  /** Default `none`. */
  readonly display?: VmDisplay;
  /** Names of virtio serial ports, opened in {@link Vm.ports}. */
  readonly ports: readonly string[];
  readonly network: VmNetwork;
  /** Of the user network. */
  readonly forwards?: readonly PortForward[];
  /** Further directories for the guest, which has to mount them itself. */
  readonly shares?: readonly RequestedShare[];
  readonly vsockCid?: number;
  readonly machineOptions?: readonly string[];
  readonly tpm: boolean;
  /** A directory that keeps what the TPM holds; without one that is lost with the machine. */
  readonly tpmState?: HostPath;
  readonly endOnRestart: boolean;
  /** A machine whose kernel panics stays as it is, so that it can be looked at. */
  readonly pauseOnPanic?: boolean;
  readonly extraArguments: readonly string[];
  /** What files the extra arguments name. */
  readonly extraMounts: readonly Mount[];
  /** Where relative names in the extra arguments begin. */
  readonly workingDirectory?: HostPath;
}

/** `socket`: read it from {@link Vm.console}; `monitor`: the same, and Ctrl-A leads to QEMU's monitor. */
export type RequestedConsole = 'none' | 'socket' | 'monitor';

/** A disk image of the host. */
export interface RequestedDisk extends Omit<VmDisk, 'path' | 'format'> {
  /** A raw image. */
  readonly path: HostPath;
  /** With `discardWrites`: bytes that the guest sees; more than the image has. */
  readonly size?: number;
}

/** What machines run on. */
export interface VmHost {
  readonly tools: ToolsRoot;
  readonly events: EventSink;
  /** Holds what machines write: temporary disks, sockets. Not a small tmpfs. Usually /var/tmp. */
  readonly scratch: HostPath;
}

/** A running machine; it ends, with all that belongs to it, when it goes out of scope. */
export interface Vm extends AsyncDisposable {
  readonly qmp: QmpClient;
  readonly console: Socket | undefined;
  /** In the order of the request. */
  readonly ports: readonly Socket[];
  readonly ended: Promise<ProgramEnd>;
  /** What the machine and this process have in common: its path on the host, and inside the sandbox. */
  readonly directory: { readonly outside: HostPath; readonly inside: string };
  /** QEMU and its arguments, as they are inside the sandbox. */
  readonly commandLine: readonly string[];
  /** Asks QEMU to end, and kills it when it does not within three seconds. */
  stop(): Promise<void>;
}

const quitSeconds = 3;

/**
 * Starts a machine; returns when QEMU answers on its control socket.
 * @param onEvent gets QEMU's events; it may be called before this function returns.
 * @throws MkimgError `qemu-failed` with QEMU's own words, `credentials-too-large`, `tool-missing`.
 */
export async function startVm(
  asked: VmRequest,
  host: VmHost,
  onEvent: (event: QmpEvent) => void,
): Promise<Vm> {
  await using stack = new Resources();
  const run = stack.use(await machineDirectory(host.scratch));
  const firmwareState = await writeVariables(asked, host.tools, run.path);
  const request = { ...asked, ...given({ firmwareState }) };
  const plan = planGuest(request);
  await writeCredentials(run.path, plan);
  await placeDisks(request, host, { run: run.path, commandLine: kernelCommandLine(request, plan) });
  const companions: CompanionHost = { ...host, run: run.path, mountedAt: runDirectory };
  const shares = await startShares(request, companions, stack);
  const tpm = request.tpm ? stack.use(await startTpm(companions, request.tpmState)) : undefined;
  const options = vmOptions(request, plan, {
    shares,
    ...(tpm === undefined ? {} : { tpmSocket: tpm.socket }),
  });
  const argv = qemuArgv(request.machine, options);
  const program = stack.use(
    await startLongRunning({
      spec: vmSandbox(request, host.tools, run.path),
      tool: request.machine.program,
      argv,
      sockets: 1 + consoleSockets(request) + request.ports.length,
      events: host.events,
    }),
  );
  const [control, ...rest] = program.sockets;
  if (control === undefined) throw new Error('internal: a machine without a control socket');
  const qmp = stack.use(new QmpClient(control, onEvent));
  await greet(qmp, program, {
    machine: request.machine,
    ...(options.commandLineByControl ? { commandLine: kernelCommandLine(request, plan) } : {}),
  });
  const owned = stack.move();
  return {
    qmp,
    console: consoleSockets(request) === 1 ? rest[0] : undefined,
    ports: rest.slice(consoleSockets(request)),
    ended: program.ended,
    directory: { outside: run.path, inside: runDirectory },
    commandLine: [request.machine.program, ...argv],
    stop: () => stopMachine(qmp, program),
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

/** How what the host tells the guest gets there. @throws MkimgError see planFitting() */
export function planGuest(request: VmRequest): CredentialPlan {
  const { commandLine, machine, commandLineDisk } = request;
  // The last byte is the terminator.
  const room = takesCommandLine(request) ? machine.channels.commandLine - 1 : (commandLineDisk?.room ?? 0);
  const hasFirmware = request.firmware !== undefined;
  const channels = guestChannels(machine.channels, { hasFirmware, room, commandLine });
  return planFitting(request.credentials, channels, room > 0 ? [] : commandLineStrings(commandLine));
}

function kernelCommandLine(request: VmRequest, plan: CredentialPlan): string {
  return [...request.commandLine, ...plan.commandLine].join(' ');
}

/** QEMU hands the command line to the kernel; otherwise systemd-stub or systemd-boot must add to theirs. */
function takesCommandLine(request: VmRequest): boolean {
  return request.kernel !== undefined && !request.kernel.unified;
}

interface Start {
  readonly machine: Machine;
  /** The kernel's, for a QEMU that waits for it. */
  readonly commandLine?: string;
}

async function greet(qmp: QmpClient, program: LongRunning, { machine, commandLine }: Start): Promise<void> {
  try {
    await qmp.negotiate();
    if (commandLine !== undefined) await startWithCommandLine(qmp, commandLine);
  } catch (error) {
    if (!(error instanceof MkimgError)) throw error;
    const { exitCode, stderr } = await program.ended;
    if (/execvp .*No such file or directory/.test(stderr.at(-1) ?? '')) {
      throw new MkimgError('tool-missing', `${machine.program} is not among the tools`, {
        hint: `Install the package '${machine.packages.qemu}', or use ToolsTree=default.`,
        cause: error,
      });
    }
    throw new MkimgError(
      'qemu-failed',
      `QEMU did not start (exit code ${exitCode}): ${stderr.at(-1) ?? 'it said nothing'}`,
      { tail: stderr, hint: startHint(stderr.at(-1) ?? ''), cause: error },
    );
  }
}

/**
 * Credentials on the kernel command line are no secret inside the guest, but to other users of the host they are: so the
 * line goes through the control socket, not through QEMU's own arguments.
 */
async function startWithCommandLine(qmp: QmpClient, commandLine: string): Promise<void> {
  await qmp.execute('qom-set', { path: '/machine', property: 'append', value: commandLine });
  await qmp.execute('x-exit-preconfig');
}

function startHint(reason: string): string {
  if (reason.includes('host forwarding rule')) {
    return 'Another program has this port of the host: take another in RuntimePorts=.';
  }
  if (reason.includes('guest cid')) return 'Another machine has this address: take another VSockCID=.';
  return 'Check the arguments after `--` and QemuArgs=.';
}

async function stopMachine(qmp: QmpClient, program: LongRunning): Promise<void> {
  const killer = setTimeout(() => program.kill(), quitSeconds * 1000);
  // It may be gone already, or end before it answers.
  qmp.execute('quit').catch(() => undefined);
  await program.ended;
  clearTimeout(killer);
}

async function writeCredentials(run: HostPath, plan: CredentialPlan): Promise<void> {
  for (const [index, text] of plan.smbios.entries()) {
    await writeFile(join(run, `smbios-${index}`), text, { mode: 0o600 });
  }
  for (const [index, { content }] of plan.fwCfg.entries()) {
    await writeFile(join(run, `fw-cfg-${index}`), content, { mode: 0o600 });
  }
}

interface CompanionSockets {
  readonly shares: VmOptions['sharedDirectories'];
  readonly tpmSocket?: string;
}

/** The request as QEMU sees it. Pure. */
export function vmOptions(request: VmRequest, plan: CredentialPlan, sockets: CompanionSockets): VmOptions {
  const commandLineByControl = plan.commandLine.length > 0;
  const kernel: VmKernel | undefined = request.kernel && {
    path: '/images/kernel',
    ...(request.kernel.initrd === undefined ? {} : { initrd: '/images/initrd' }),
    ...(takesCommandLine(request) && !commandLineByControl
      ? { commandLine: kernelCommandLine(request, plan) }
      : {}),
  };
  return {
    accelerator: request.accelerator,
    cpus: request.cpus,
    memory: request.memory,
    ...given({ maximumMemory: request.maximumMemory, firmware: firmwareOf(request), kernel }),
    commandLineByControl,
    disks: request.disks.map((disk) => vmDisk(disk, request)),
    console:
      request.console === 'none'
        ? { kind: 'none' }
        : { kind: 'socket', fd: firstSocket + 1, hasMonitor: request.console === 'monitor' },
    display: request.display ?? 'none',
    controlFd: firstSocket,
    ports: request.ports.map((name, index) => ({
      name,
      fd: firstSocket + 1 + consoleSockets(request) + index,
    })),
    smbiosFiles: plan.smbios.map((_, index) => `${runDirectory}/smbios-${index}`),
    fwCfgFiles: plan.fwCfg.map(({ name }, index) => ({ name, path: `${runDirectory}/fw-cfg-${index}` })),
    network: request.network,
    forwards: request.forwards ?? [],
    sharedDirectories: sockets.shares,
    ...given({ vsockCid: request.vsockCid }),
    machineOptions: request.machineOptions ?? [],
    ...(sockets.tpmSocket === undefined ? {} : { tpmSocket: sockets.tpmSocket }),
    endOnRestart: request.endOnRestart,
    ...given({ pauseOnPanic: request.pauseOnPanic }),
    extra: request.extraArguments,
  };
}

function firmwareOf({ firmware, firmwareState }: VmRequest): VmOptions['firmware'] {
  if (firmware === undefined || firmwareState === undefined) return firmware;
  return { ...firmware, variables: variablesTarget, keepsVariables: true };
}

function consoleSockets({ console }: VmRequest): number {
  return console === 'none' ? 0 : 1;
}

/** Makes the files behind disks that are not simply their images. */
async function placeDisks(
  request: VmRequest,
  host: VmHost,
  { run, commandLine }: { readonly run: HostPath; readonly commandLine: string },
): Promise<void> {
  for (const disk of request.disks) {
    switch (diskFile(request, disk)) {
      case 'image':
        if (disk.id === request.commandLineDisk?.id)
          await writeDiskCommandLine(disk.path, request, commandLine);
        break;
      case 'copy': {
        const copy = hostPath(join(run, copyName(disk)));
        await copySparsely(disk.path, copy, disk.size);
        await writeDiskCommandLine(copy, request, commandLine);
        break;
      }
      case 'overlay':
        await createOverlay(disk, host, vmSandbox(request, host.tools, run));
        break;
    }
  }
}
