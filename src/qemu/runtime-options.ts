import { given } from '../base/given.ts';
import { MkimgError } from '../base/errors.ts';
import type { HostPath } from '../base/brand.ts';
import type { BuildableConfig } from '../config/project.ts';
import type { ToolsRoot } from '../sandbox/types.ts';
import type { VmNetwork } from './argv.ts';
import { hasDirectoryServer } from './companions.ts';
import type { Credential } from './credentials.ts';
import { textCredential } from './credentials.ts';
import { mainOutput } from './image.ts';
import type { Machine } from './machines/machine.ts';
import { sshForward } from './running/access.ts';
import { loginCredentials } from './running/login.ts';
import type { RequestedShare } from './shares.ts';
import type { VmRequest } from './vm.ts';
import { chooseVsockCid } from './vsock.ts';

export interface RuntimeInputs {
  readonly config: BuildableConfig;
  readonly machine: Machine;
  readonly tools: ToolsRoot;
  /** For somebody who works with the machine: lines of authorized_keys, and its name. */
  readonly guestAccess?: { readonly authorized: readonly string[]; readonly name: string };
}

/** What settings of [Runtime] add to a machine: the world around it. */
export interface RuntimeOptions {
  readonly request: Pick<VmRequest, 'network'> &
    Partial<Pick<VmRequest, 'forwards' | 'machineOptions' | 'maximumMemory' | 'shares' | 'vsockCid'>>;
  readonly credentials: readonly Credential[];
}

/** @throws MkimgError `needs-root`, `vsock-unusable`, `no-cxl` */
export async function runtimeOptions(inputs: RuntimeInputs): Promise<RuntimeOptions> {
  const { config, machine, guestAccess } = inputs;
  const network = networkOf(config, guestAccess?.name ?? 'test');
  const mounts = sharedTrees(config);
  const via = (await hasDirectoryServer(inputs.tools)) ? 'virtiofs' : '9p';
  return {
    request: {
      network,
      shares: mounts.map(({ tag, source }): RequestedShare => ({ tag, path: source, via })),
      machineOptions: config.CXL ? [cxlOption(machine)] : [],
      ...given({ maximumMemory: config.MaxMem }),
      ...(guestAccess === undefined
        ? {}
        : {
            forwards: network === 'user' ? [...config.RuntimePorts, sshForward] : [],
            ...given({ vsockCid: await chooseVsockCid(config, mainOutput(config)) }),
          }),
    },
    credentials: [
      ...(mounts.length === 0 ? [] : [textCredential('fstab.extra', mountTable(mounts, via))]),
      ...(guestAccess === undefined ? [] : loginCredentials(guestAccess.authorized)),
    ],
  };
}

/** Interfaces have names of at most 15 bytes; systemd-networkd serves those that begin so (80-vm-vt.network). */
function networkOf({ RuntimeNetwork }: BuildableConfig, name: string): VmNetwork {
  if (RuntimeNetwork !== 'interface') return RuntimeNetwork;
  if (process.getuid?.() === 0) return { interface: `vt-${name}`.slice(0, 15) };
  throw new MkimgError(
    'needs-root',
    'RuntimeNetwork=interface makes a network interface, which only root can',
    {
      hint: 'Run mkimg as root, or use RuntimeNetwork=user with RuntimePorts=.',
      class: 'usage',
    },
  );
}

function cxlOption({ architecture }: Machine): string {
  if (architecture === 'x86-64' || architecture === 'arm64') return 'cxl=on';
  throw new MkimgError('no-cxl', `QEMU has no CXL for ${architecture}`, {
    hint: 'CXL=yes works for x86-64 and arm64.',
    class: 'usage',
  });
}

/** A directory of the host, and where it is in the guest. */
export interface SharedTree {
  readonly tag: string;
  readonly source: HostPath;
  /** Absolute. */
  readonly target: string;
}

/** RuntimeTrees=, and RuntimeBuildSources= where build scripts see them. Pure. */
export function sharedTrees(
  config: Pick<BuildableConfig, 'BuildDirectory' | 'BuildSources' | 'RuntimeBuildSources' | 'RuntimeTrees'>,
): readonly SharedTree[] {
  const trees = config.RuntimeTrees.map(({ source, target, rooted }) => ({
    source,
    target: rooted === true ? `/${target}` : joined('/root/src', target),
  }));
  const sources = config.RuntimeBuildSources
    ? [
        ...config.BuildSources.map(({ source, target }) => ({ source, target: joined('/work/src', target) })),
        ...(config.BuildDirectory === undefined
          ? []
          : [{ source: config.BuildDirectory, target: '/work/build' }]),
      ]
    : [];
  // Tags hold 36 bytes, and say nothing to anybody.
  return [...trees, ...sources].map((tree, index) => ({ ...tree, tag: `mkimg${index}` }));
}

function joined(directory: string, target: string): string {
  return target === '' ? directory : `${directory}/${target}`;
}

/** Lines of fstab(5). A guest whose kernel lacks the file system comes up without these directories. */
export function mountTable(trees: readonly SharedTree[], via: RequestedShare['via']): string {
  const [type, options] =
    via === 'virtiofs' ? ['virtiofs', 'rw'] : ['9p', 'rw,trans=virtio,version=9p2000.L,msize=512000'];
  return trees.map(({ tag, target }) => `${tag} ${escaped(target)} ${type} ${options},nofail 0 0\n`).join('');
}

/** White space and backslashes as fstab(5) has them. */
function escaped(path: string): string {
  return path.replace(/[\s\\]/g, (character) => {
    return `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
  });
}
