import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import { architectures, nativeArchitecture } from '../distro/architectures/index.ts';
import type { Verb } from './verb.ts';

const fileName = 'mkimg.conf';

/** What a new project starts with: the smallest image that boots and can be logged in to, on a machine of this kind. */
export function starterConfiguration(architecture: ArchitectureName): string {
  return `# An image for mkimg. Build it with 'mkimg', boot it with 'mkimg qemu', test it with 'mkimg test'.
# 'mkimg summary' shows all settings that are in effect.

[Distribution]
Distribution=debian
Release=trixie

[Output]
# Also: directory, tar, cpio, uki.
Format=disk

[Content]
# Format=disk boots by itself with a kernel, systemd-boot and udev.
Packages=
    ${architectures[architecture].kernel.packages.debian ?? ''}
    login
    mount
    systemd
    systemd-boot
    systemd-boot-efi
    systemd-sysv
    udev

# Files below mkimg.extra/ are copied into the image; scripts such as mkimg.postinst are run.

Hostname=image
# Logs root in on the console. Remove it, and set RootPassword=, for anything that others can reach.
Autologin=yes
`;
}

export const initVerb: Verb = {
  name: 'init',
  summary: `Write a small ${fileName} to start from`,
  doc: `Writes an \`mkimg.conf\` with comments for a small image of Debian that boots, into the directory that \`-C\` names (by
default the current one). It never overwrites a configuration.`,
  options: [],
  run: async ({ options, events }) => {
    const { directory } = options;
    await mkdir(directory, { recursive: true });
    const present = (await readdir(directory)).find((name) => /^mk(?:img|osi)\.conf$/.test(name));
    const path = join(directory, fileName);
    if (present !== undefined) throw alreadyThere(join(directory, present));
    await writeNew(path);
    events.emit({
      ...{ type: 'note', level: 'info', code: 'written', message: `Wrote ${path}` },
      hint: "'mkimg' builds the image, 'mkimg qemu' boots it.",
    });
    return 0;
  },
};

async function writeNew(path: string): Promise<void> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(starterConfiguration(nativeArchitecture()));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw alreadyThere(path);
    throw error;
  }
}

function alreadyThere(path: string): MkimgError {
  return new MkimgError('already-there', `${path} exists already; it was left as it is`, {
    hint: 'Name another directory with -C.',
    class: 'usage',
  });
}
