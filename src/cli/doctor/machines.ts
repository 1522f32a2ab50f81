import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { isErrno } from '../../base/errors.ts';
import { silentEvents } from '../../base/events.ts';
import { exists } from '../../base/files.ts';
import { toolsHave } from '../../qemu/firmware.ts';
import { hasDirectoryServer, tpmProgram } from '../../qemu/companions.ts';
import type { KvmVerdict } from '../../qemu/kvm.ts';
import { kvmVerdict } from '../../qemu/kvm.ts';
import type { Machine } from '../../qemu/machines/machine.ts';
import { machineFor } from '../../qemu/machines/index.ts';
import { runProbe } from '../../qemu/probe/run.ts';
import { vsockDevice } from '../../qemu/vsock.ts';
import { findOnPath } from '../../sandbox/lookup.ts';
import type { ToolsRoot } from '../../sandbox/types.ts';
import type { Check, Finding, Surroundings } from './check.ts';
import { good, lacking, unknown } from './check.ts';
import { outputOf, versionIn } from './output-of.ts';
import { installCommand } from './packages.ts';

/** What runs virtual machines here, and how fast. */
export const machinesCheck: Check = {
  name: 'machines',
  run: async (surroundings) => {
    const native = machineFor(surroundings.host.architecture);
    const tools = await toolsWith(native, surroundings);
    return [
      await qemu(native, tools, surroundings),
      await kvm(native, tools, surroundings),
      await vsock(),
      await tpm(tools, surroundings),
      await shares(tools, surroundings),
    ];
  },
};

/** The host, or a tools tree that was made for machines and is still in the cache. */
async function toolsWith(machine: Machine, { cache }: Surroundings): Promise<ToolsRoot | undefined> {
  if ((await findOnPath(machine.program)) !== undefined) return { kind: 'host' };
  for (const key of await entriesOf(cache.store)) {
    const path = hostPath(join(cache.store, key, 'tree'));
    if (await exists(join(path, 'usr/bin', machine.program))) return { kind: 'tree', path };
  }
  return undefined;
}

async function entriesOf(store: HostPath): Promise<readonly string[]> {
  try {
    return (await readdir(store)).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return [];
    throw error;
  }
}

const madeLater = 'mkimg makes a tools tree with it when a machine is started; now: mkimg tools vm';

async function qemu(
  machine: Machine,
  tools: ToolsRoot | undefined,
  { signal }: Surroundings,
): Promise<Finding> {
  if (tools === undefined) return good('qemu', `not on this machine; ${madeLater}`);
  if (tools.kind === 'tree') return good('qemu', `${machine.program} from the tools tree ${tools.path}`);
  const answer = await outputOf([machine.program, '--version'], signal);
  return good('qemu', `${machine.program} ${versionIn(answer?.text ?? '')}`);
}

async function kvm(
  machine: Machine,
  tools: ToolsRoot | undefined,
  { cache }: Surroundings,
): Promise<Finding> {
  const verdict = await verdictWith(machine, tools, cache.state);
  if (verdict === undefined) {
    return unknown('kvm', 'a test guest has to run to tell, and QEMU is not there yet', 'mkimg tools vm');
  }
  if (verdict.usable) return good('kvm', 'a test guest ran');
  return lacking(
    'kvm',
    `machines run in software, about ten times slower: ${verdict.reason}`,
    kvmFix(verdict.reason),
  );
}

/** Undefined where only a guest could tell and there is no QEMU to run it; that is not remembered. */
async function verdictWith(
  machine: Machine,
  tools: ToolsRoot | undefined,
  state: HostPath,
): Promise<KvmVerdict | undefined> {
  try {
    return await kvmVerdict(machine, state, () => {
      if (tools === undefined) throw new NoQemu();
      return runProbe(machine, 'kvm', { tools, events: silentEvents, scratch: hostPath('/var/tmp') });
    });
  } catch (error) {
    if (error instanceof NoQemu) return undefined;
    throw error;
  }
}

class NoQemu extends Error {}

/** Undefined where nothing on this machine can be done about it. */
export function kvmFix(reason: string): string | undefined {
  if (reason.includes('no permission')) return 'usermod --append --groups kvm "$USER", then log in again';
  if (reason.includes('does not exist')) return 'modprobe kvm_intel || modprobe kvm_amd';
  return undefined;
}

async function vsock(): Promise<Finding> {
  try {
    await (await open(vsockDevice, 'r+')).close();
    return good('vsock', `${vsockDevice} can be used`);
  } catch (error) {
    const without = '`mkimg ssh` and `mkimg test` do without';
    if (isErrno(error, 'ENOENT', 'ENODEV', 'ENXIO')) {
      return lacking('vsock', `${vsockDevice} does not exist; ${without}`, 'modprobe vhost_vsock');
    }
    if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
    return lacking('vsock', `no permission to open ${vsockDevice}; ${without}`, `chmod 0666 ${vsockDevice}`);
  }
}

async function tpm(tools: ToolsRoot | undefined, { host }: Surroundings): Promise<Finding> {
  if (tools === undefined) return good('tpm', `swtpm is not looked for; ${madeLater}`);
  if (await toolsHave(tools, tpmProgram)) return good('tpm', 'swtpm is there: machines can have a TPM');
  return lacking('tpm', 'without swtpm machines have no TPM', installCommand(host, ['swtpm']));
}

async function shares(tools: ToolsRoot | undefined, { host }: Surroundings): Promise<Finding> {
  if (tools === undefined) return good('virtiofs', `virtiofsd is not looked for; ${madeLater}`);
  if (await hasDirectoryServer(tools))
    return good('virtiofs', 'virtiofsd is there: machines can share directories');
  return lacking(
    'virtiofs',
    'without virtiofsd directories are shared by 9p, and Format=directory does not boot',
    installCommand(host, ['virtiofsd']),
  );
}
