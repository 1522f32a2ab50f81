import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { openKmodIndex } from '../formats/kmod-index-reader.ts';
import { memberData } from '../formats/newc-reader.ts';
import type { SegmentItem } from '../steps/kernel-modules/segment.ts';
import type { InitrdNodes, UnpackedSegment } from './contents.ts';
import type { HostFiles } from './host-files.ts';
import type { InitrdModule, ModuleSelection } from './modules/select.ts';
import { moduleItem } from './modules/selected-items.ts';
import type { SectionContent } from './uki.ts';
import { writeSections } from './uki.ts';

/** What the initrd of a unified kernel image has, as far as an addon may rely on it. */
export interface UkiInitrd {
  /** Paths of files and links, without a leading slash. */
  readonly paths: ReadonlySet<string>;
  /** Where its index has a module: the path below the directory of the kernel's modules; undefined where it has none. */
  readonly moduleAt: (name: string) => string | undefined;
}

/** Looks at an unpacked initrd. @throws MkimgError `bad-module-index` */
export function ukiInitrd(
  { nodes, segments }: { readonly nodes: InitrdNodes; readonly segments: readonly UnpackedSegment[] },
  kernelVersion: string,
): UkiInitrd {
  // Systems whose /lib is a link have their archives made of usr/lib; others may have either.
  const directories = ['usr/lib/modules', 'lib/modules'].map((path) => `${path}/${kernelVersion}`);
  const node = directories.map((path) => nodes.get(`${path}/modules.dep.bin`)).find(Boolean);
  const archive = node && segments[node.segment]?.archive;
  const index = node && archive && openKmodIndex(memberData(archive, node.member));
  return {
    paths: new Set([...nodes.keys()].map((path) => path.replace(/^lib\//, 'usr/lib/'))),
    moduleAt: (name) => index?.lookup(name.replaceAll('-', '_'))[0]?.replace(/:.*/s, ''),
  };
}

/** Modules and firmware for an addon. */
export interface AddonParts {
  readonly items: ReadonlyMap<TreePath, SegmentItem>;
  /** Modules that the initrd of the image could not load, since its index does not have them; they are left out. */
  readonly unresolved: readonly InitrdModule[];
}

/** Microcode is read from the first archive alone, which an addon is not. */
const microcode = /^usr\/lib\/firmware\/(?:amd|intel)-ucode\//;

/**
 * What the machine needs and the image does not have. Indexes of modules are not part of it: those of the addon would hide
 * the ones of the image.
 */
export function addonParts(selection: ModuleSelection, uki: UkiInitrd): AddonParts {
  const items = new Map<TreePath, SegmentItem>();
  const unresolved: InitrdModule[] = [];
  for (const module of selection.modules) {
    const [path, item] = moduleItem(selection, module);
    if (uki.paths.has(path)) continue;
    if (uki.moduleAt(moduleName(module.module.path)) === module.module.path) items.set(path, item);
    else unresolved.push(module);
  }
  for (const { path, item } of selection.firmware)
    if (!uki.paths.has(path) && !microcode.test(path)) items.set(path, item);
  return { items, unresolved };
}

function moduleName(path: string): string {
  return path.replace(/.*\//, '').replace(/\.ko(?:\.\w+)?$/, '');
}

/** Files of the machine for an addon; the command line is a section of its own. */
export function addonFiles(host: HostFiles): HostFiles {
  const files = new Map(host.files);
  files.delete(treePath('etc/kernel/cmdline'));
  return { ...host, files };
}

/** What an addon is made of. */
export interface AddonWish {
  readonly stub: HostPath;
  readonly kernelVersion: string;
  /** Appended to that of the image; empty for none. */
  readonly commandLine: string;
  /** An initrd to come after that of the image. */
  readonly initrd: HostPath | undefined;
}

/** Lets shim(8) revoke addons of a generation that turns out to be at fault (SBAT). */
const revocation = [
  'sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md',
  'uki-addon,1,UKI Addon,addon,1,https://www.freedesktop.org/software/systemd/man/latest/systemd-stub.html',
];

/** Writes an addon for systemd-stub(7) into a new file. @throws MkimgError `bad-stub` */
export async function writeAddon(wish: AddonWish, target: HostPath): Promise<void> {
  const { stub, kernelVersion, commandLine, initrd } = wish;
  const contents: (readonly [string, SectionContent])[] = [
    ['.sbat', Buffer.from(`${revocation.join('\n')}\n`)],
    // The stub takes no addon of another kernel.
    ['.uname', Buffer.from(kernelVersion)],
  ];
  if (commandLine !== '') contents.push(['.cmdline', Buffer.from(`${commandLine}\0`)]);
  if (initrd !== undefined) contents.push(['.initrd', initrd]);
  await writeSections({ stub, contents }, target);
}
