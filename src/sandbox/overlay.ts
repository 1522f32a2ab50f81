import { symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { readTextIfExists } from '../base/files.ts';
import { temporaryDirectory } from '../base/temporary.ts';
import { findOnPath } from './lookup.ts';
import type { ProgramResult } from './process.ts';
import { runProgram } from './process.ts';
import { shellCommand } from './text.ts';

/** A tree that is mounted for as long as it is in scope (`await using`). */
export interface MountedTree extends AsyncDisposable {
  readonly path: HostPath;
}

/** Layers joined into one tree. All of them are directories that exist. */
export interface OverlaySpec {
  /** Topmost first, at least one. */
  readonly lowers: readonly HostPath[];
  /** Takes all changes. */
  readonly upper: HostPath;
  /** Empty, on the file system of `upper`. */
  readonly work: HostPath;
  /** Where the tree appears. */
  readonly target: HostPath;
}

/** Layers to look at. */
export interface ReadOnlySpec {
  /** Topmost first, at least one. */
  readonly layers: readonly HostPath[];
  readonly target: HostPath;
}

/**
 * The same in all modes, so that a layer made in one reads the same in another: `userxattr`, because a user namespace may
 * not set trusted.* attributes; no index and no metadata-only copies, because both tie a layer to the layers below it.
 */
const commonOptions = ['userxattr', 'index=off', 'metacopy=off'] as const;

/**
 * Mounts a writable overlay. Nothing is synced when it goes (`volatile`): who keeps the upper directory must make it
 * durable, and `work` must not be used again.
 * @throws MkimgError `mount-failed`; nothing is mounted then.
 */
export async function mountOverlay({ lowers, upper, work, target }: OverlaySpec): Promise<MountedTree> {
  return mountLayers({ lowers, changes: { upper, work }, target });
}

/**
 * Mounts layers for reading; a single one is bound as it is.
 * @throws MkimgError `mount-failed`; nothing is mounted then.
 */
export async function mountReadOnly({ layers, target }: ReadOnlySpec): Promise<MountedTree> {
  const [only, ...more] = layers;
  if (only !== undefined && more.length === 0) return bindReadOnly(only, target);
  return mountLayers({ lowers: layers, changes: undefined, target });
}

interface Layers {
  readonly lowers: readonly HostPath[];
  readonly changes: { readonly upper: HostPath; readonly work: HostPath } | undefined;
  readonly target: HostPath;
}

/**
 * mount(2) takes one page of options, too little for the paths of many layers. The layers get names of one or two
 * characters instead, as links in a directory from which mount is called; that also spares the escaping of `:` and `,`.
 */
async function mountLayers({ lowers, changes, target }: Layers): Promise<MountedTree> {
  const named = [
    ...lowers.map((path, index) => ({ name: String(index), path })),
    ...(changes === undefined
      ? []
      : [
          { name: 'u', path: changes.upper },
          { name: 'w', path: changes.work },
        ]),
  ];
  const argv = [
    'mount',
    '-t',
    'overlay',
    '-o',
    overlayOptions(lowers.length, changes !== undefined),
    'overlay',
    target,
  ];
  // Beside the target, where whoever owns that place clears away what a killed process leaves.
  await using names = await temporaryDirectory(dirname(target), '.layers-');
  for (const { name, path } of named) await symlink(path, join(names.path, name));
  await mountCommand(argv, names.path);
  const remount = [
    'cd "$(mktemp -d)"',
    ...named.map(({ name, path }) => shellCommand(['ln', '-s', path, name])),
    // What `volatile` leaves behind keeps the directory from being used again.
    ...(changes === undefined ? [] : [shellCommand(['rm', '-rf', join(changes.work, 'work', 'incompat')])]),
    shellCommand(['mkdir', '-p', target]),
    shellCommand(argv),
    // The short names have served.
    'rm -r "$PWD"',
  ];
  return mounted({ target, sources: named.map(({ path }) => path), remount });
}

/** Options for `count` lower layers that are called 0, 1, ... and changes in `u` and `w`. */
export function overlayOptions(count: number, isWritable: boolean): string {
  const lowers = Array.from({ length: count }, (_, index) => String(index)).join(':');
  const changes = isWritable ? ['upperdir=u', 'workdir=w', 'volatile'] : [];
  return [`lowerdir=${lowers}`, ...changes, ...commonOptions].join(',');
}

async function bindReadOnly(source: HostPath, target: HostPath): Promise<MountedTree> {
  const bind = ['mount', '--bind', source, target];
  await mountCommand(bind);
  const tree = mounted({
    target,
    sources: [source],
    remount: [shellCommand(['mkdir', '-p', target]), shellCommand(bind)],
  });
  try {
    const flags = await keptFlags(target);
    await mountCommand(['mount', '-o', ['remount', 'bind', 'ro', ...flags].join(','), target]);
    return tree;
  } catch (error) {
    await tree[Symbol.asyncDispose]();
    throw error;
  }
}

/** Flags of a mount that a user namespace must repeat when it makes the mount read-only, or the kernel refuses. */
async function keptFlags(target: HostPath): Promise<readonly string[]> {
  const table = (await readTextIfExists('/proc/self/mountinfo')) ?? '';
  // proc(5): id, parent, device, root, mount point, mount options. Blanks and the like are octal there.
  const escaped = target.replace(
    /[\s\\]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  const line = table
    .split('\n')
    .filter((entry) => entry.split(' ')[4] === escaped)
    .at(-1);
  const lockable = ['nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime'];
  return (line?.split(' ')[5] ?? '').split(',').filter((flag) => lockable.includes(flag));
}

interface LiveMount {
  readonly target: HostPath;
  readonly sources: readonly HostPath[];
  /** Shell commands that mount it again. */
  readonly remount: readonly string[];
}

/** What is mounted now, oldest first: needed for command lines that lead back into a sandbox. */
const liveMounts = new Set<LiveMount>();

function mounted(mount: LiveMount): MountedTree {
  liveMounts.add(mount);
  return {
    path: mount.target,
    [Symbol.asyncDispose]: async () => {
      if (!liveMounts.delete(mount)) return;
      const result = await runMountProgram(['umount', mount.target]);
      // A process that ends just now may still hold it.
      if (result.exitCode !== 0) await mountCommand(['umount', '--lazy', mount.target]);
    },
  };
}

/** Shell commands that mount again, in another mount namespace, what these paths are now seen through. */
export function remountCommands(paths: readonly string[]): readonly string[] {
  const needed: LiveMount[] = [];
  const seen = [...paths];
  for (const mount of [...liveMounts].reverse()) {
    if (!seen.some((path) => isWithin(path, mount.target) || isWithin(mount.target, path))) continue;
    needed.unshift(mount);
    seen.push(...mount.sources);
  }
  return needed.flatMap((mount) => mount.remount);
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

async function mountCommand(argv: readonly string[], workingDirectory?: HostPath): Promise<void> {
  const result = await runMountProgram(argv, workingDirectory);
  if (result.exitCode === 0) return;
  throw new MkimgError('mount-failed', `Cannot mount or unmount ${String(argv.at(-1))}.`, {
    hint: 'The kernel log (dmesg) often says more.',
    tail: result.tail,
  });
}

async function runMountProgram(
  [program = '', ...args]: readonly string[],
  workingDirectory?: HostPath,
): Promise<ProgramResult> {
  return runProgram({
    argv: [(await findOnPath(program)) ?? program, ...args],
    // util-linux 2.39 and later use fsconfig(2), which takes 255 characters for one option; mount(2) takes a page for all.
    env: { LANG: 'C.UTF-8', LIBMOUNT_FORCE_MOUNT2: 'always', PATH: '/usr/sbin:/usr/bin' },
    ...(workingDirectory === undefined ? {} : { workingDirectory }),
    events: silentEvents,
  });
}
