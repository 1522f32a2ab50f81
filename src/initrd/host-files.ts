import { lstat, readFile } from 'node:fs/promises';
import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { isObject } from '../base/canonical.ts';
import type { NewcEntry } from '../formats/newc.ts';
import { fileType } from '../formats/newc.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { SegmentItem } from '../steps/kernel-modules/segment.ts';
import { segmentEntries } from '../steps/kernel-modules/segment.ts';
import { initrdCrypttab } from './crypttab.ts';

/** Files of this machine that its initrd takes along, by their path there. */
export interface HostFiles {
  readonly files: ReadonlyMap<TreePath, Buffer>;
  /** Those that hold a key: whoever can read the initrd can open the disk. */
  readonly secrets: readonly TreePath[];
  /** Files that crypttab names and that are not there. */
  readonly missing: readonly string[];
}

/** Words that kernel-install gives each kernel. */
const commandLineFile = treePath('etc/kernel/cmdline');

/** What is taken as it is, where it is there. */
const plainFiles: readonly string[] = ['etc/vconsole.conf', 'etc/default/keyboard', commandLineFile];

/** By profile, where the machine has configured what the profile is for. */
const profileFiles: Readonly<Record<string, readonly string[]>> = {
  raid: ['etc/mdadm.conf', 'etc/mdadm/mdadm.conf'],
  nfs: ['etc/idmapd.conf'],
  multipath: ['etc/multipath.conf', 'etc/multipath/bindings', 'etc/multipath/wwids'],
  iscsi: ['etc/iscsi/initiatorname.iscsi', 'etc/iscsi/iscsid.conf'],
  'nvme-of': ['etc/nvme/hostnqn', 'etc/nvme/hostid', 'etc/nvme/discovery.conf'],
};

const crypttab = treePath('etc/crypttab');

function takenFiles(profiles: readonly string[]): readonly string[] {
  return [...plainFiles, ...profiles.flatMap((profile) => profileFiles[profile] ?? [])];
}

/** Reads the files of the system below a root; links are followed inside it. */
export async function readHostFiles(root: HostPath, profiles: readonly string[]): Promise<HostFiles> {
  const files = new Map<TreePath, Buffer>();
  const secrets: TreePath[] = [];
  const missing: string[] = [];
  for (const path of takenFiles(profiles)) {
    const content = await contentOf(root, treePath(path));
    if (content !== undefined) files.set(treePath(path), content);
  }
  const table = initrdCrypttab((await contentOf(root, crypttab))?.toString('utf8') ?? '');
  if (table.text !== '') files.set(crypttab, Buffer.from(table.text));
  for (const path of [...table.files, ...table.conventional]) {
    const content = await contentOf(root, treePath(path));
    if (content === undefined) {
      if (table.files.includes(path)) missing.push(path);
      continue;
    }
    files.set(treePath(path), content);
    secrets.push(treePath(path));
  }
  return { files, secrets, missing };
}

async function contentOf(root: HostPath, path: TreePath): Promise<Buffer | undefined> {
  const file = await treeAt(root).resolve(path);
  const stats = await lstat(file).catch(() => undefined);
  return stats?.isFile() === true ? readFile(file) : undefined;
}

/** True where the initrd shall unlock volumes: those of crypttab, or of the kernel command line. */
export function opensVolumes({ files }: HostFiles): boolean {
  const words = files.get(commandLineFile)?.toString('utf8').split(/\s+/) ?? [];
  return files.has(crypttab) || words.some((word) => /^(?:rd\.)?luks\./.test(word));
}

/** The segment of these files. Keys are readable by root alone. */
export function hostFileEntries({ files, secrets }: HostFiles, epoch: number): readonly NewcEntry[] {
  const items = new Map<TreePath, SegmentItem>(
    [...files].map(([path, content]) => [path, { kind: 'file', content, mtime: epoch }]),
  );
  const secret = new Set<string>(secrets);
  return segmentEntries(items, epoch).map((entry) =>
    secret.has(entry.path.toString()) ? { ...entry, mode: fileType.regular | 0o600 } : entry,
  );
}

/** What the manifest of the segment says. */
export function hostFilesContent({ files, secrets }: HostFiles): Json {
  return { files: [...files.keys()], secrets: [...secrets] };
}

/** True for a segment of host files that holds keys. */
export function holdsSecrets({ content }: { readonly content: Json }): boolean {
  const secrets = isObject(content) ? content['secrets'] : undefined;
  return Array.isArray(secrets) && secrets.length > 0;
}
