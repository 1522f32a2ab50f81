import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Resources } from '../base/disposal.ts';
import type { MountedTree } from '../sandbox/overlay.ts';
import { mountOverlay } from '../sandbox/overlay.ts';
import type { VmShare } from './argv.ts';
import type { CompanionHost } from './companions.ts';
import { startDirectoryServer } from './companions.ts';
import type { VmRequest } from './vm.ts';

/** A directory of the host that the guest can mount by its tag. */
export interface RequestedShare {
  readonly tag: string;
  readonly path: HostPath;
  readonly via: 'virtiofs' | '9p';
}

/** Where QEMU sees a directory that it serves itself. */
export function shareTarget(tag: string): string {
  return `/shares/${tag}`;
}

/** Serves what the request shares with the guest; what runs for it ends with `stack`. */
export async function startShares(
  request: VmRequest,
  host: CompanionHost,
  stack: Resources,
): Promise<readonly VmShare[]> {
  const shares = await startRoot(request, host, stack);
  for (const { tag, path, via } of request.shares ?? []) {
    if (via === '9p') {
      shares.push({ tag, path: shareTarget(tag) });
      continue;
    }
    const server = stack.use(await startDirectoryServer(host, { name: tag, path, isPrivate: false }));
    shares.push({ tag, socket: server.socket });
  }
  return shares;
}

async function startRoot(
  { rootDirectory }: VmRequest,
  host: CompanionHost,
  stack: Resources,
): Promise<VmShare[]> {
  if (rootDirectory === undefined) return [];
  const isPrivate = rootDirectory.discardWrites;
  const path = isPrivate
    ? stack.use(await mountThrowAway(rootDirectory.path, host.run)).path
    : rootDirectory.path;
  const server = stack.use(await startDirectoryServer(host, { name: 'root', path, isPrivate }));
  return [{ tag: 'root', socket: server.socket }];
}

/** The tree with changes that are lost; they lie in the machine's directory. */
async function mountThrowAway(tree: HostPath, run: HostPath): Promise<MountedTree> {
  const place = (name: string): HostPath => hostPath(join(run, name));
  const spec = { lowers: [tree], upper: place('upper'), work: place('work'), target: place('root') };
  // The mode of the upper directory is that of the guest's root.
  for (const path of [spec.upper, spec.work, spec.target]) await mkdir(path, { mode: 0o755 });
  return mountOverlay(spec);
}
