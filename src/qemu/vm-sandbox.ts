import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Mount, SandboxSpec, ToolsRoot } from '../sandbox/types.ts';
import type { VmDisplay } from './argv.ts';
import { diskTarget, runDirectory } from './disk-files.ts';
import { shareTarget } from './shares.ts';
import type { VmRequest } from './vm.ts';
import { vsockDevice } from './vsock.ts';

/** Where the firmware's variables are, if they have a file of this machine's own. */
export const variablesTarget = '/firmware/variables';

/** What QEMU sees: tools, its own directory, the images of this machine, and what the user's arguments name. Pure. */
export function vmSandbox(request: VmRequest, tools: ToolsRoot, run: HostPath): SandboxSpec {
  const kernel = request.kernel;
  const images: Mount[] = [
    ...request.disks.map((disk): Mount => ({
      source: disk.path,
      target: diskTarget(disk),
      mode: disk.discardWrites || disk.readOnly === true ? 'ro' : 'rw',
    })),
    ...(kernel === undefined ? [] : [readOnly(kernel.path, '/images/kernel')]),
    ...(kernel?.initrd === undefined ? [] : [readOnly(kernel.initrd, '/images/initrd')]),
    ...variableMounts(request),
  ];
  const shares = (request.shares ?? [])
    .filter(({ via }) => via === '9p')
    .map(({ tag, path }): Mount => ({ source: path, target: shareTarget(tag), mode: 'rw' }));
  return {
    tools,
    mounts: [
      { source: run, target: runDirectory, mode: 'rw' },
      ...images,
      ...shares,
      ...hostDevices(request).map((path): Mount => ({ source: path, target: path, mode: 'dev' })),
      ...request.extraMounts,
    ],
    network: request.network !== 'none',
    // Temporary disks go where there is room, not into memory.
    env: { TMPDIR: runDirectory, ...windowEnvironment(request.display) },
    // Data that the guest has flushed must be on the disk.
    suppressSync: false,
    suppressChown: false,
    ...(request.workingDirectory === undefined ? {} : { workingDirectory: request.workingDirectory }),
  };
}

function hostDevices({ accelerator, network, vsockCid }: VmRequest): HostPath[] {
  return [
    ...(accelerator === 'kvm' ? ['/dev/kvm'] : []),
    ...(typeof network === 'string' ? [] : ['/dev/net/tun']),
    ...(vsockCid === undefined ? [] : [vsockDevice]),
  ].map(hostPath);
}

function variableMounts({ firmware, firmwareState }: VmRequest): Mount[] {
  if (firmware === undefined || firmwareState === undefined) return [];
  return [{ source: firmwareState, target: variablesTarget, mode: 'rw' }];
}

function readOnly(source: HostPath, target: string): Mount {
  return { source, target, mode: 'ro' };
}

const windowVariables = ['DISPLAY', 'WAYLAND_DISPLAY', 'XAUTHORITY', 'XDG_RUNTIME_DIR'] as const;

function windowEnvironment(display: VmDisplay | undefined): Readonly<Record<string, string>> {
  if (display !== 'window') return {};
  return Object.fromEntries(
    windowVariables.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
