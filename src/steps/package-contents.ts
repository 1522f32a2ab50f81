import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResolvedPackage } from '../distro/resolved.ts';
import { linkOrCopy } from './apt/linking.ts';
import type { Member, UnpackedPackage } from './apt/unpacked.ts';
import { dataFile, unpackedPackages } from './apt/unpacked.ts';
import type { InstalledContent } from './host/installed-content.ts';
import { installedContent } from './host/installed-content.ts';
import type { BuildContext } from './implementation.ts';

/** The content of a package, wherever it is. */
export interface PackageContent {
  readonly entry: ResolvedPackage;
  /** In the order of the archive. */
  readonly members: readonly Member[];
  /** Names of the control files, sorted. */
  readonly control: readonly string[];
  /** A control file; empty where there is none. */
  readonly controlText: (name: string, encoding?: 'utf8' | 'latin1') => string;
  readonly putControl: (name: string, target: string) => void;
  /** Puts a file or link of it in a place of the tree, which nobody writes to afterwards. */
  readonly put: (path: string, target: Buffer) => void;
  /** MD5 of a file, in hexadecimal digits. */
  readonly md5: (path: string) => string;
}

/**
 * Opens packages: package files are unpacked into the store, where all trees have them from; installed files are copied from
 * where they are.
 */
export async function packageContents(
  packages: readonly ResolvedPackage[],
  context: BuildContext,
): Promise<readonly PackageContent[]> {
  const isInstalled = ({ repacked }: ResolvedPackage): boolean => repacked !== undefined;
  const unpacked = await unpackedPackages(
    packages.filter((entry) => !isInstalled(entry)),
    context,
  );
  const installed = await installedContent(packages.filter(isInstalled), context.metadataCache);
  const contents = new Map<ResolvedPackage, PackageContent>([
    ...unpacked.map((content) => [content.entry, fromStore(content)] as const),
    ...installed.map((content) => [content.entry, fromSystem(content)] as const),
  ]);
  return packages.map((entry) => {
    const content = contents.get(entry);
    if (content === undefined) throw new Error(`internal: ${entry.name} was not opened`);
    return content;
  });
}

function fromStore({ entry, directory, members, control }: UnpackedPackage): PackageContent {
  const controlFile = (name: string): string => join(directory, 'control', name);
  return {
    ...{ entry, members, control },
    controlText: (name, encoding = 'utf8') =>
      control.includes(name) ? readFileSync(controlFile(name), encoding) : '',
    putControl: (name, target) => linkOrCopy(controlFile(name), target),
    put: (path, target) => linkOrCopy(dataFile(directory, path), target),
    md5: (path) => md5(readFileSync(dataFile(directory, path))),
  };
}

function fromSystem({ entry, inventory, copy }: InstalledContent): PackageContent {
  const { items, control } = inventory;
  const controlFile = (name: string) => control.find((file) => file.name === name);
  return {
    ...{ entry, members: items, control: control.map(({ name }) => name) },
    controlText: (name, encoding = 'utf8') => controlFile(name)?.content.toString(encoding) ?? '',
    putControl: (name, target) => {
      const file = controlFile(name);
      if (file === undefined) throw new Error(`internal: ${entry.name} has no control file ${name}`);
      writeFileSync(target, file.content);
      chmodSync(target, file.mode);
    },
    put: copy,
    md5: (path) => {
      const item = items.find((other) => other.path === path);
      if (item === undefined) throw new Error(`internal: /${path} is not in ${entry.name}`);
      return md5(readFileSync(item.at));
    },
  };
}

function md5(data: Buffer): string {
  return createHash('md5').update(data).digest('hex');
}
