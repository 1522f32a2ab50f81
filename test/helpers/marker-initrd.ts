import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';

/** What the guest writes to the console: the machine as `uname -m` calls it, and its kernel command line. */
export const markerPattern = /guest of (\S+) began with: (.*)/;

const init = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs devtmpfs /dev
echo "guest of $(/bin/busybox uname -m) began with: $(/bin/busybox cat /proc/cmdline)"
/bin/busybox poweroff -f
`;

/** An initrd that holds a static busybox, says what it was started with, and switches the machine off. */
export async function markerInitrd(busybox: string, directory: HostPath): Promise<HostPath> {
  const root = join(directory, 'initrd');
  for (const name of ['bin', 'dev', 'proc']) await mkdir(join(root, name), { recursive: true });
  await copyFile(busybox, join(root, 'bin/busybox'));
  await writeFile(join(root, 'init'), init);
  for (const name of ['bin/busybox', 'init']) await chmod(join(root, name), 0o755);
  const sandbox = createSandbox({ mode: 'root', tools: { kind: 'host' }, events: silentEvents });
  await sandbox.run({
    tool: 'sh',
    argv: ['-c', 'cd /root && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1 >/out/marker.initrd'],
    mounts: [
      { source: hostPath(root), target: '/root', mode: 'ro' },
      { source: directory, target: '/out', mode: 'rw' },
    ],
    purpose: 'packing an initrd for a test',
  });
  return hostPath(join(directory, 'marker.initrd'));
}
