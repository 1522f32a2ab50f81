import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { readTextIfExists, writeFileAtomically } from '../base/files.ts';
import type { Feature } from '../config/codecs/scalars.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import { nativeArchitecture } from '../distro/architectures/index.ts';
import type { Accelerator } from './argv.ts';
import type { Machine } from './machines/machine.ts';
import { probeRomExitCode } from './probe/rom.ts';

/** Whether guests of a machine can run with KVM here; `reason` completes "KVM is not used: ". */
export type KvmVerdict = { readonly usable: true } | { readonly usable: false; readonly reason: string };

/** What can be seen of this host without starting anything. */
export interface KvmHost {
  readonly architecture: ArchitectureName;
  readonly device: 'open' | 'missing' | 'denied' | 'unusable';
  /** Content of /proc/cpuinfo. */
  readonly cpuinfo: string;
}

/** How the probe's QEMU ended. */
export type ProbeEnd =
  | { readonly kind: 'exited'; readonly exitCode: number; readonly stderr: readonly string[] }
  /** Did not end within the time; a working machine needs a tenth of it. */
  | { readonly kind: 'stalled'; readonly seconds: number };

/** Runs the probe ROM once under KVM. */
export type RunProbe = () => Promise<ProbeEnd>;

/** A verdict from facts alone, or `probe` when only a guest can tell. */
export function judgeHost(machine: Machine, host: KvmHost): KvmVerdict | 'probe' {
  if (!machine.kvm.hosts.includes(host.architecture)) {
    return no(`the image is for ${machine.architecture}, this machine is ${host.architecture}`);
  }
  switch (host.device) {
    case 'missing':
      return no('/dev/kvm does not exist');
    case 'denied':
      return no('no permission to open /dev/kvm (is the user in the group kvm?)');
    case 'unusable':
      return no('/dev/kvm cannot be opened');
    case 'open':
      break;
  }
  // A KVM that interprets its guests (such as pvm) opens and runs small programs, but no real kernel.
  if (machine.kvm.cpuFlags !== undefined && !hasCpuFlag(host.cpuinfo, machine.kvm.cpuFlags)) {
    return no(`the CPU shows no virtualisation (${machine.kvm.cpuFlags.join(' or ')} in /proc/cpuinfo)`);
  }
  return machine.kvm.probe ? 'probe' : { usable: true };
}

export function judgeProbe(end: ProbeEnd): KvmVerdict {
  if (end.kind === 'stalled') {
    return no(`a test guest did not finish within ${end.seconds} s`);
  }
  if (end.exitCode === probeRomExitCode) return { usable: true };
  const last = end.stderr.at(-1);
  return no(`a test guest failed (${last ?? `QEMU's exit code ${end.exitCode}`})`);
}

export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** For the user: why the machine is slow. */
  readonly note?: string;
}

/** @throws MkimgError `kvm-unusable` when KVM=yes asks for what cannot be had. */
export async function chooseAccelerator(
  setting: Feature,
  verdict: () => Promise<KvmVerdict>,
): Promise<AcceleratorChoice> {
  if (setting === false) return { accelerator: 'tcg' };
  const found = await verdict();
  if (found.usable) return { accelerator: 'kvm' };
  if (setting === true) {
    throw new MkimgError('kvm-unusable', `KVM=yes, but KVM cannot be used: ${found.reason}`, {
      hint: 'KVM=auto runs the machine in software instead, about ten times slower.',
    });
  }
  return {
    accelerator: 'tcg',
    note: `KVM is not used: ${found.reason}. The machine runs in software, about ten times slower.`,
  };
}

/**
 * The verdict for this host. A probe runs at most once per boot of the host: its result stands in `stateDirectory`.
 */
export async function kvmVerdict(
  machine: Machine,
  stateDirectory: HostPath,
  runProbe: RunProbe,
): Promise<KvmVerdict> {
  const judged = judgeHost(machine, await lookAtHost());
  if (judged !== 'probe') return judged;
  const known = parseKnown(await readTextIfExists(verdictFile(machine, stateDirectory)), await readBootId());
  if (known !== undefined) return known;
  const verdict = judgeProbe(await runProbe());
  await remember(machine, stateDirectory, verdict);
  return verdict;
}

/**
 * Remembers until the next boot of the host that KVM failed although the probe ran: some faults show only in a real
 * kernel.
 */
export async function rememberBrokenKvm(
  machine: Machine,
  stateDirectory: HostPath,
  reason: string,
): Promise<void> {
  await remember(machine, stateDirectory, no(reason));
}

async function remember(machine: Machine, stateDirectory: HostPath, verdict: KvmVerdict): Promise<void> {
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const content = JSON.stringify({ bootId: await readBootId(), ...verdict });
  await writeFileAtomically(verdictFile(machine, stateDirectory), `${content}\n`);
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

function verdictFile(machine: Machine, stateDirectory: HostPath): string {
  return join(stateDirectory, `kvm-${machine.architecture}.json`);
}

/** A verdict that kvmVerdict() wrote during this boot; undefined for anything else. */
export function parseKnown(text: string | undefined, bootId: string): KvmVerdict | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('bootId' in value) || value.bootId !== bootId) {
    return undefined;
  }
  if (!('usable' in value)) return undefined;
  if (value.usable === true) return { usable: true };
  return 'reason' in value && typeof value.reason === 'string' ? no(value.reason) : undefined;
}

async function lookAtHost(): Promise<KvmHost> {
  return {
    architecture: nativeArchitecture(),
    device: await openDevice(),
    cpuinfo: (await readTextIfExists('/proc/cpuinfo')) ?? '',
  };
}

async function openDevice(): Promise<KvmHost['device']> {
  try {
    await (await open('/dev/kvm', 'r+')).close();
    return 'open';
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'missing';
    return isErrno(error, 'EACCES', 'EPERM') ? 'denied' : 'unusable';
  }
}

function hasCpuFlag(cpuinfo: string, flags: readonly string[]): boolean {
  const line = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  const present = new Set(line.split(/\s+/));
  return flags.some((flag) => present.has(flag));
}

function no(reason: string): KvmVerdict {
  return { usable: false, reason };
}
