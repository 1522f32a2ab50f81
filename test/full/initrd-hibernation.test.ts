import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { ext4On, rootUuid } from '../helpers/boot-scripts.ts';
import { startConsoleGuest } from '../helpers/console-guest.ts';
import { ofImage } from '../helpers/guest-images.ts';
import { bootSuite } from '../helpers/initrd-boot-suite.ts';
import { prepareRoot } from '../helpers/root-boots.ts';

const suite = bootSuite();

/** Sleeps once it is up, and writes what it has kept in memory when it wakes up. */
function sleeper(token: string): Readonly<Record<string, string>> {
  return {
    'systemd.extra-unit.sleeper.service': `[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
ConditionPathExists=!/etc/initrd-release
After=basic.target multi-user.target
[Service]
ImportCredential=sleeper.script
ExecStart=/bin/sh -eux \${CREDENTIALS_DIRECTORY}/sleeper.script
StandardOutput=file:/dev/ttyS0
StandardError=inherit
`,
    'systemd.unit-dropin.multi-user.target~30-sleeper': '[Unit]\nWants=sleeper.service\n',
    'sleeper.script': `swapon /dev/disk/by-id/virtio-swap
echo ${token} >/run/kept
echo falls asleep
systemctl start hibernate.target
cat /run/kept >/dev/disk/by-id/virtio-answer
sync
systemctl poweroff
`,
  };
}

it('an initrd wakes a system up from hibernation, whatever its image is compressed with', async () => {
  const token = randomUUID();
  await using prepared = await prepareRoot(
    {
      initrd: ofImage('--initrd-profile=hibernate'),
      disks: { first: 1024, swap: 1024, answer: 1 },
      prepare: `${ext4On('"$(disk first)"')}mkswap -q "$(disk swap)"`,
      // Built into no kernel: the initrd has to have it.
      commandLine: [
        ...[`root=UUID=${rootUuid}`, 'rw', 'resume=/dev/disk/by-id/virtio-swap'],
        ...['hibernate.compressor=lz4', 'systemd.firstboot=no'],
      ],
      credentials: sleeper(token),
    },
    suite.site(),
  );
  const answer = (): Promise<string> => readFile(join(prepared.directory, 'answer.raw'), 'latin1');
  const start = async (name: string): Promise<string> => {
    const log = hostPath(join(prepared.directory, name));
    await using guest = await startConsoleGuest(prepared.machine, log, suite.site().host);
    await guest.ended();
    return await guest.console();
  };
  expect(await start('console.log')).toContain('falls asleep');
  expect(await answer()).not.toContain(token);
  const second = await start('second-console.log');
  expect(second).not.toContain('falls asleep');
  expect(await answer(), second).toContain(token);
});
