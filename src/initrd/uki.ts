import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { isRegularFile, readTextIfExists } from '../base/files.ts';
import { layOutUki } from '../formats/uki.ts';
import { treeAt } from '../sandbox/tree.ts';
import { kernelAt } from '../steps/kernels.ts';

/** What a unified kernel image is made of. */
export interface UkiParts {
  readonly stub: HostPath;
  readonly kernel: HostPath;
  readonly kernelVersion: string;
  readonly initrd: HostPath;
  readonly commandLine: string;
  readonly osRelease: string;
}

/** Writes a unified kernel image into a new file. @throws MkimgError `bad-stub` */
export async function writeUki(parts: UkiParts, target: HostPath): Promise<void> {
  const contents: StubWithSections['contents'] = [
    ['.osrel', Buffer.from(parts.osRelease)],
    ['.cmdline', Buffer.from(`${parts.commandLine}\0`)],
    ['.uname', Buffer.from(parts.kernelVersion)],
    ['.initrd', parts.initrd],
    // Last, so that a kernel which unpacks itself behind its own end meets nothing.
    ['.linux', parts.kernel],
  ];
  await writeSections({ stub: parts.stub, contents }, target);
}

/** Content of a section: bytes, or a file. */
export type SectionContent = Buffer | HostPath;

/** A stub, and sections to add to it in this order. */
export interface StubWithSections {
  readonly stub: HostPath;
  readonly contents: readonly (readonly [name: string, content: SectionContent])[];
}

/** Writes a stub with more sections into a new file. @throws MkimgError `bad-stub` */
export async function writeSections({ stub, contents }: StubWithSections, target: HostPath): Promise<void> {
  const sections = await Promise.all(
    contents.map(async ([name, content]) => {
      const size = Buffer.isBuffer(content) ? content.length : (await stat(content)).size;
      return { name, size };
    }),
  );
  const { head, offsets, size } = layOutUki(await readFile(stub), sections);
  await using output = await open(target, 'wx', 0o600);
  await output.write(head, 0, head.length, 0);
  for (const [index, [, content]] of contents.entries()) {
    const data = Buffer.isBuffer(content) ? content : await readFile(content);
    await output.write(data, 0, data.length, offsets[index]);
  }
  await output.truncate(size);
  await output.sync();
}

/** What of a system goes into its unified kernel images, beside kernel and initrd. */
export interface UkiFacts {
  readonly stub: HostPath;
  readonly commandLine: string;
  readonly osRelease: string;
}

/**
 * Reads what kernel-install and ukify would: the stub, cmdline of /etc/kernel or /usr/lib/kernel, else that of the running
 * kernel, where that is the system's, and os-release.
 * @throws MkimgError `stub-missing`
 */
export async function ukiFacts(root: HostPath, efi: string, configuration?: HostPath): Promise<UkiFacts> {
  const tree = treeAt(root);
  const stub = await tree.resolve(treePath(`usr/lib/systemd/boot/efi/linux${efi}.efi.stub`));
  if (!(await isRegularFile(stub)))
    throw new MkimgError('stub-missing', `There is no ${stub}, which unified kernel images begin with.`, {
      hint: 'Install the package systemd-boot-efi (Debian, Ubuntu) or systemd-boot.',
    });
  const read = (path: string): Promise<string | undefined> => tree.readText(treePath(path));
  return {
    stub,
    commandLine: oneLine(
      (configuration && (await readTextIfExists(join(configuration, 'cmdline')))) ??
        (await read('etc/kernel/cmdline')) ??
        (await read('usr/lib/kernel/cmdline')) ??
        (root === '/' ? runningCommandLine((await readTextIfExists('/proc/cmdline')) ?? '') : ''),
    ),
    osRelease: (await read('etc/os-release')) ?? (await read('usr/lib/os-release')) ?? '',
  };
}

/** What kernel-install takes over of the running kernel: not what its boot loader added. */
export function runningCommandLine(text: string): string {
  return oneLine(text)
    .split(' ')
    .filter((word) => !/^(?:BOOT_IMAGE|initrd)=/.test(word))
    .join(' ');
}

/** Lines of a file are joined; those that begin with `#` are comments, as kernel-install has it. */
export function oneLine(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join(' ')
    .split(/\s+/)
    .filter((word) => word !== '')
    .join(' ');
}

/**
 * The kernel of a version: beside its modules, or where Debian has it.
 * @throws MkimgError `kernel-not-installed`
 */
export async function findKernelImage(root: HostPath, version: string): Promise<HostPath> {
  const names = ['vmlinuz', 'vmlinux', 'Image'].map((name) => `usr/lib/modules/${version}/${name}`);
  for (const path of [...names, `boot/vmlinuz-${version}`, `boot/vmlinux-${version}`]) {
    const file = await treeAt(root).resolve(treePath(path));
    if ((await kernelAt(file)) !== undefined) return hostPath(file);
  }
  throw new MkimgError(
    'kernel-not-installed',
    `There is no kernel ${version} beside its modules or in /boot.`,
    {
      hint: 'Name it with --kernel-image.',
      class: 'usage',
    },
  );
}
