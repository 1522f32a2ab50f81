import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { until } from '../helpers/cli.ts';
import type { ConsoleGuest } from '../helpers/console-guest.ts';
import { startConsoleGuest } from '../helpers/console-guest.ts';
import type { InitrdWay } from '../helpers/guest-images.ts';
import { ofImage } from '../helpers/guest-images.ts';
import { bootSuite } from '../helpers/initrd-boot-suite.ts';
import { prepareRoot } from '../helpers/root-boots.ts';

const suite = bootSuite();

/** Boots an initrd that waits in vain for the root. */
async function withoutRoot(
  initrd: InitrdWay,
  commandLine: readonly string[],
  then: (guest: ConsoleGuest) => Promise<void>,
): Promise<void> {
  await using prepared = await prepareRoot({ initrd, disks: {}, prepare: '', commandLine }, suite.site());
  const log = hostPath(join(prepared.directory, 'console.log'));
  await using guest = await startConsoleGuest(prepared.machine, log, suite.site().host);
  await then(guest);
}

const gone = ['root=/dev/disk/by-id/virtio-gone', 'systemd.default_device_timeout_sec=10'];

describe.concurrent('an initrd whose root does not come', () => {
  it('keeps its shell locked', async () => {
    await withoutRoot(ofImage(), gone, async (guest) => {
      await guest.said('You are in emergency mode');
      await guest.said('the root account is locked');
    });
  });

  it('opens a shell with the tools of the profile rescue', async () => {
    await withoutRoot(ofImage('--initrd-profile=rescue'), gone, async (guest) => {
      await guest.said('Press Enter for system maintenance');
      // What comes before it listens is dropped.
      await until(async () => {
        guest.type('\n');
        await sleep(2000);
        return /^\S*# /m.test(await guest.console());
      }, 300_000);
      const tools =
        'parted sgdisk fdisk mkfs.ext4 xfs_repair btrfs mkfs.vfat cryptsetup ip ping nano less ps';
      guest.type(
        `for t in ${tools}; do command -v $t >/dev/null || echo missing: $t; done; echo looked $((1+1))\n`,
      );
      await guest.said('looked 2');
      expect(await guest.console()).not.toMatch(/missing: \w/);
      guest.type('systemctl is-failed initrd-root-device.target emergency.target; systemctl poweroff\n');
      await guest.ended();
      expect(await guest.console()).toMatch(/inactive\s+active/);
    });
  });

  it('opens it at once where the kernel command line says so', async () => {
    await withoutRoot(ofImage('--initrd-profile=rescue'), ['rd.emergency'], async (guest) => {
      await guest.said('Press Enter for system maintenance');
    });
  });
});
