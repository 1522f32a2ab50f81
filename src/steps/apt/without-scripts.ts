import { readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import { isErrno } from '../../base/errors.ts';
import type { InstallScripts } from '../../distro/maintainer-scripts.ts';
import { alternativesOf, chosenAlternatives, isDeclarative } from '../../distro/maintainer-scripts.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import { debianIdleScripts } from '../../distro/tables/debian-scripts.ts';
import type { Tree } from '../../sandbox/tree.ts';
import type { BuildContext } from '../implementation.ts';
import { databaseName, parseConffiles } from './database.ts';

/*
 * An initrd needs little of what maintainer scripts leave, but running those of a hundred packages takes as long as unpacking
 * them. Where all scripts are known, mkimg leaves what they would: accounts of Debian's list, alternatives, login shells,
 * the order of name services, the loader's cache. Users, volatile files and units follow in steps of their own, as ever.
 * Not there afterwards: PAM's common-* files, files for people in /root and /etc, and empty directories of the hierarchy.
 */

export interface UnpackedTree {
  readonly packages: readonly ResolvedPackage[];
  readonly tree: Tree;
}

/** True when only dpkg can set the package up, because its scripts may do more than mkimg knows of. */
export function hasUnknownScripts(name: string, scripts: readonly string[]): boolean {
  return !debianIdleScripts.has(name) && !scripts.every(isDeclarative);
}

/** Names of packages that only dpkg can set up. */
export async function packagesWithUnknownScripts({
  packages,
  tree,
}: UnpackedTree): Promise<readonly string[]> {
  const info = await infoOf(tree);
  const names: string[] = [];
  for (const entry of packages) {
    const { preinst = '', postinst = '' } = scriptsOf(entry, info);
    if (hasUnknownScripts(entry.name, [preinst, postinst])) names.push(entry.name);
  }
  return names;
}

/** Sets up unpacked packages without their scripts. */
export async function setUpWithoutScripts(
  unpacked: UnpackedTree,
  environment: Readonly<Record<string, string>>,
  context: BuildContext,
): Promise<void> {
  const { tree } = unpacked;
  await placeConffiles(unpacked);
  await placeAlternatives(unpacked);
  await copyDefault(tree, { from: 'usr/share/base-passwd/passwd.master', to: 'etc/passwd' });
  await copyDefault(tree, { from: 'usr/share/base-passwd/group.master', to: 'etc/group' });
  await copyDefault(tree, { from: 'usr/share/libc-bin/nsswitch.conf', to: 'etc/nsswitch.conf' });
  await writeShells(tree);
  const [script, ...files] = finishScript;
  const isThere = await Promise.all(files.map((file) => tree.exists(treePath(file))));
  if (isThere.some(Boolean))
    await context.sandbox.run({
      tool: 'sh',
      argv: ['-c', script],
      root: tree.root,
      env: environment,
      purpose: 'setting up packages',
    });
  await markInstalled(tree);
}

/** Passwords go where only root may read them; then the loader's cache. Programs of the tree, where it has them. */
const finishScript = [
  [
    'set -e',
    '[ ! -x /usr/sbin/pwconv ] || { pwconv; grpconv; }',
    'for f in /etc/shadow /etc/gshadow; do [ ! -e $f ] || { chown root:shadow $f; chmod 0640 $f; }; done',
    '[ ! -x /usr/sbin/ldconfig ] || ldconfig -X',
  ].join('\n'),
  ...['usr/sbin/pwconv', 'usr/sbin/ldconfig'],
] as const;

function infoOf(tree: Tree): Promise<HostPath> {
  return tree.resolve(treePath('var/lib/dpkg/info'));
}

function controlFile(info: HostPath, entry: ResolvedPackage, name: string): string | undefined {
  return readIfThere(join(info, `${databaseName(entry)}.${name}`));
}

function scriptsOf(entry: ResolvedPackage, info: HostPath): InstallScripts {
  const preinst = controlFile(info, entry, 'preinst');
  const postinst = controlFile(info, entry, 'postinst');
  return { ...(preinst === undefined ? {} : { preinst }), ...(postinst === undefined ? {} : { postinst }) };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** They wait beside their place, and those of the base set are in their place, too. */
async function placeConffiles({ packages, tree }: UnpackedTree): Promise<void> {
  const info = await infoOf(tree);
  for (const entry of packages) {
    const text = controlFile(info, entry, 'conffiles') ?? '';
    for (const { path, isRemoved } of parseConffiles(text) ?? []) {
      if (isRemoved) continue;
      const place = await tree.resolve(treePath(path));
      const waiting = `${place}.dpkg-new`;
      if (await tree.exists(treePath(path))) await rm(waiting, { force: true });
      else await rename(waiting, place);
    }
  }
}

async function placeAlternatives({ packages, tree }: UnpackedTree): Promise<void> {
  const info = await infoOf(tree);
  const all = packages.flatMap((entry) => alternativesOf(scriptsOf(entry, info).postinst ?? ''));
  for (const { slaves, ...master } of chosenAlternatives(all)) {
    if (!(await tree.exists(treePath(master.path)))) continue;
    for (const { link, name, path } of [master, ...slaves]) {
      if (!(await tree.exists(treePath(path)))) continue;
      await tree.symlink(treePath(join('etc/alternatives', name)), `/${path}`);
      await tree.symlink(treePath(link), `/etc/alternatives/${name}`);
    }
  }
}

async function copyDefault(
  tree: Tree,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  const text = await tree.readText(treePath(from));
  if (text !== undefined && !(await tree.exists(treePath(to)))) await tree.writeText(treePath(to), text);
}

/** As update-shells(8) does: those that packages declare. Programs such as dropbear let nobody in whose shell is not listed. */
async function writeShells(tree: Tree): Promise<void> {
  const target = treePath('etc/shells');
  const lists = ['usr/share/debianutils/shells', ...(await tree.glob('usr/share/debianutils/shells.d/*'))];
  const texts = await Promise.all(lists.map((path) => tree.readText(treePath(path))));
  const shells = texts.flatMap((text) => (text ?? '').split('\n')).filter((line) => line.startsWith('/'));
  if (shells.length === 0 || (await tree.exists(target))) return;
  const both = shells.flatMap((shell) => (shell.startsWith('/usr/') ? [shell] : [shell, `/usr${shell}`]));
  await tree.writeText(target, ['# /etc/shells: valid login shells', ...new Set(both), ''].join('\n'));
}

async function markInstalled(tree: Tree): Promise<void> {
  const path = treePath('var/lib/dpkg/status');
  const text = (await tree.readText(path)) ?? '';
  const marked = text.replace(/^Status: install ok unpacked$/gm, 'Status: install ok installed');
  await tree.writeText(path, marked);
}
