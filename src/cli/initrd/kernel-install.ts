import { existsSync, statSync } from 'node:fs';
import { copyFile, lstat, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError, unreachable } from '../../base/errors.ts';
import { isDirectory } from '../../base/files.ts';
import type { HookCall, HookFacts, HookTask } from '../../initrd/kernel-install.ts';
import { debianInitrd, hookCall, hookTask, stagedNames } from '../../initrd/kernel-install.ts';
import { holdsSecrets } from '../../initrd/host-files.ts';
import type { Segment } from '../../initrd/segment-cache.ts';
import { requireSound } from '../../initrd/segment-cache.ts';
import { requireSpace } from '../../initrd/space.ts';
import { verifySegments } from '../../initrd/verify.ts';
import { reenter } from '../session/command-line.ts';
import type { VerbContext } from '../verb.ts';
import { ukiProduct } from './products.ts';
import { initrdFile, placeProduct, publishProduct, removeProduct } from './publish.ts';
import { kernelInstallCommand, rememberStanding } from './refresh.ts';
import type { InitrdRequest } from './request.ts';
import { initrdOrder } from './request.ts';
import { lockCache } from './cache-lock.ts';
import type { CachePlace } from './cache-place.ts';
import { withCache } from './cache-place.ts';
import { obtainSegments } from './segments.ts';

/** `mkimg initrd kernel-install -- add VERSION DIRECTORY KERNEL...`: what the plugin of kernel-install(8) runs. */
export async function runHook(context: VerbContext): Promise<number> {
  const call = hookCall(context.rest, process.env);
  if (call === undefined) return 0;
  const task = hookTask(call, await hookFacts(call));
  if (task.kind === 'nothing') return 0;
  const { request } = initrdOrder(context);
  if (task.kind === 'remove') {
    for (const path of task.paths) await removeProduct(path, request.cache);
    return 0;
  }
  return addKernel({ call, task, request: { ...request, kernelVersion: call.kernelVersion } }, context);
}

async function hookFacts({ entryDirectory, bootRoot, kernelVersion }: HookCall): Promise<HookFacts> {
  return {
    hasEntryDirectory: await isDirectory(entryDirectory),
    isDebian: existsSync('/etc/debian_version'),
    stagesPlainInitrd: stagesPlainInitrd(process.env['KERNEL_INSTALL_PLUGINS']),
    keepsPlainKernel: ['vmlinuz', 'vmlinux'].some((name) =>
      existsSync(join(bootRoot, `${name}-${kernelVersion}`)),
    ),
  };
}

/** Names that the plugin of Debian has had which stages /boot/initrd.img-VERSION. */
const initrdPlugins: readonly string[] = ['55-initrd.install', '85-initrd.install'];

/** @param plugins those that kernel-install was told to run instead of the installed ones */
function stagesPlainInitrd(plugins: string | undefined): boolean {
  const named = (plugins ?? '').split(/\s+/).filter((path) => path !== '');
  if (named.length > 0) return named.some((path) => initrdPlugins.includes(basename(path)));
  return initrdPlugins.some((name) => {
    const [path] = ['/etc/kernel/install.d', '/usr/lib/kernel/install.d']
      .map((directory) => join(directory, name))
      .filter((candidate) => existsSync(candidate));
    // A link to /dev/null, or what may not be run, masks the plugin that was installed.
    return path !== undefined && statSync(path).isFile() && (statSync(path).mode & 0o111) !== 0;
  });
}

type AddTask = Exclude<HookTask, { readonly kind: 'nothing' | 'remove' }>;

interface Addition {
  readonly call: HookCall;
  readonly task: AddTask;
  readonly request: InitrdRequest;
}

async function addKernel(addition: Addition, context: VerbContext): Promise<number> {
  const { call } = addition;
  const done = await withCache(addition.request, context, async (place) => {
    const { request } = place;
    const obtained = await obtainSegments(request, context);
    if (obtained === undefined) return undefined;
    const { segments } = obtained;
    warnOfSecrets(segments, call, context);
    await carryOut({ ...addition, place }, segments, context);
    if (call.image !== undefined && !place.isTemporary) {
      const kernelInstall = kernelInstallCommand(call.kernelVersion, call.image);
      await rememberStanding({ way: { kernelInstall }, request, segments }, context);
    }
    return 0;
  });
  return done ?? reenter(context);
}

async function carryOut(
  { call, task, place }: Omit<Addition, 'request'> & { readonly place: CachePlace },
  segments: readonly Segment[],
  context: VerbContext,
): Promise<void> {
  const { request } = place;
  switch (task.kind) {
    case 'stage':
      await requireBootSpace(call, segments);
      for (const segment of segments) await requireSound(segment);
      await verifySegments(segments);
      return stageSegments(segments, task.directory, place);
    case 'initrd':
      if (task.isStaged === true) await requireBootSpace(call, segments);
      return publishProduct(initrdFile(segments, task.path), request.cache, context);
    case 'uki': {
      const { kernel, path } = task;
      const { root, cache, kernelVersion } = request;
      const configuration = process.env['KERNEL_INSTALL_CONF_ROOT'];
      const product = await ukiProduct({
        ...{ root, cache, kernelVersion, kernel, segments, path },
        ...(configuration === undefined ? {} : { configuration: hostPath(configuration) }),
      });
      if (call.stagingArea === undefined) return publishProduct(product, cache, context);
      await requireSpace(await existing(call.bootRoot), product.bytes - (await sizeOf(ukiEntry(call))));
      // Whoever holds the lock clears away what others would be making in the cache.
      await using _lock = await lockCache(cache, context);
      await placeProduct(product);
      return;
    }
    default:
      return unreachable(task);
  }
}

/** The plugins that copy staged files to the boot partition come later, and would leave half of them there. */
async function requireBootSpace(
  { bootRoot, entryDirectory, image, kernelVersion }: HookCall,
  segments: readonly Segment[],
): Promise<void> {
  const kernel = image === undefined ? 0 : (await stat(image)).size;
  const wanted = segments.reduce((sum, { bytes }) => sum + bytes, kernel);
  // Files of an earlier run are replaced one by one.
  const staged = segments.map(({ role }) => stagedNames[role]);
  const names = ['linux', basename(debianInitrd(kernelVersion)), ...staged];
  const sizes = names.map((name) => sizeOf(join(entryDirectory, name)));
  const present = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  await requireSpace(await existing(bootRoot), Math.max(0, wanted - present));
}

async function sizeOf(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => undefined);
  return stats?.size ?? 0;
}

/** Where 90-uki-copy.install puts the unified kernel image; one that is there already is replaced. */
function ukiEntry({ bootRoot, entryToken, kernelVersion }: HookCall): string {
  return join(bootRoot, 'EFI/Linux', `${entryToken}-${kernelVersion}.efi`);
}

async function existing(directory: HostPath): Promise<HostPath> {
  return (await isDirectory(directory)) ? directory : hostPath('/');
}

/**
 * Links to the segments in the cache, which never change. Plugins that copy them follow links, and the staging area may be
 * on another file system. What is in a cache that will not last is copied.
 */
async function stageSegments(
  segments: readonly Segment[],
  directory: HostPath,
  { isTemporary, request }: CachePlace,
): Promise<void> {
  if (!(await isDirectory(directory)))
    throw new MkimgError('output-not-writable', `There is no staging area ${directory}`, {
      hint: 'kernel-install(8) makes it and sets KERNEL_INSTALL_STAGING_AREA.',
      class: 'usage',
    });
  for (const { role, path } of segments) {
    const place = join(directory, stagedNames[role]);
    const temporary = `${place}.tmp`;
    await rm(temporary, { force: true });
    if (isTemporary && path.startsWith(`${request.cache}/`)) await copyFile(path, temporary);
    else await symlink(path, temporary);
    await rename(temporary, place);
  }
}

/** kernel-install gives files mode 0644 when it copies them, and FAT has no modes. */
function warnOfSecrets(segments: readonly Segment[], { bootRoot }: HookCall, { events }: VerbContext): void {
  const host = segments.find(({ role }) => role === 'host');
  if (host === undefined || !holdsSecrets(host)) return;
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'secret-in-initrd' },
    message: `The initrd holds key files of crypttab; whoever can read ${bootRoot} can open those disks`,
    hint: 'Bind the volumes to a TPM with systemd-cryptenroll, or mount the boot partition with umask=0077.',
  });
}
