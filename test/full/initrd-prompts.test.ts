import { setTimeout as sleep } from 'node:timers/promises';
import { ext4On, formatLuks, luksUuid, rootUuid } from '../helpers/boot-scripts.ts';
import { ofImage, ofSystem } from '../helpers/guest-images.ts';
import type { BootCase } from '../helpers/initrd-boot-suite.ts';
import { bootSuite, testBoots } from '../helpers/initrd-boot-suite.ts';
import { pressKeys } from '../helpers/keyboard.ts';

/** A disk whose passphrase somebody types. */
function sealedDisk(words: string): Pick<BootCase, 'disks' | 'prepare' | 'fstype' | 'stack'> {
  return {
    disks: { first: 1024 },
    prepare: `${formatLuks}format_luks "$(disk first)" ${words}
${ext4On('/dev/mapper/opened')}cryptsetup close opened`,
    fstype: 'ext4',
    stack: ['crypt', 'disk'],
  };
}

const sealed = [`rd.luks.name=${luksUuid}=root`, 'root=/dev/mapper/root', 'rw'];

const cases: readonly BootCase[] = [
  {
    ...sealedDisk('zylinder-ruine'),
    name: 'on a German keyboard, as the system is configured',
    initrd: ofSystem(['--host-plus', '--profile=keymap'], {
      'etc/crypttab': `root UUID=${luksUuid} none luks,x-initrd.attach\n`,
      'etc/default/keyboard': 'XKBMODEL="pc105"\nXKBLAYOUT="de"\nXKBVARIANT=""\n',
    }),
    // It asks on both consoles; keys go to the second.
    commandLine: ['root=/dev/mapper/root', 'rw', 'console=tty0'],
    help: async (guest) => {
      await guest.said(/passphrase/);
      // On a German keyboard Y and Z have changed places, and the hyphen is where Americans have the slash.
      await pressKeys(guest, 'y z l i n d e r slash r u i n e');
    },
  },
  {
    ...sealedDisk('secret'),
    name: 'on a splash screen',
    initrd: ofImage('--initrd-profile=plymouth'),
    machine: () => ({ extraArguments: ['-device', 'VGA,romfile='] }),
    credentials: {
      'systemd.unit-dropin.systemd-ask-password-plymouth.service':
        '[Service]\nExecStartPost=/bin/sh -c "plymouth --ping && echo plymouth is there >/dev/ttyS0"\n',
    },
    commandLine: [
      ...[...sealed, 'splash', 'plymouth.ignore-serial-consoles', 'console=tty0'],
      // The last one counts: here the keyboard is read by its event device.
      'module_blacklist=ahci,iTCO_wdt,pcspkr,psmouse',
    ],
    help: async (guest) => {
      await guest.said('plymouth is there');
      // Nothing tells when it has opened the keyboard; a second answer goes nowhere if the first was heard.
      for (const seconds of [5, 20]) {
        await sleep(seconds * 1000);
        await pressKeys(guest, 's e c r e t');
      }
    },
  },
];

const suite = bootSuite();
testBoots('an initrd takes a passphrase', cases, suite);

testBoots(
  'an initrd is extended',
  [
    {
      name: 'by an extension image beside it',
      initrd: ofImage(),
      disks: { first: 1024, extension: 1 },
      prepare: `${ext4On('"$(disk first)"')}
mkdir -p /tmp/probe/usr/lib/extension-release.d /tmp/probe/usr/share/probe
printf 'ID=_any\\nSYSEXT_SCOPE=initrd\\n' >/tmp/probe/usr/lib/extension-release.d/extension-release.probe
echo merged >/tmp/probe/usr/share/probe/word
mksquashfs /tmp/probe "$(disk extension)" -noappend -quiet -no-progress`,
      removed: ['extension'],
      inInitrd: { 'var/lib/extensions/probe.raw': 'extension' },
      credentials: {
        'systemd.extra-unit.probe.service': `[Unit]
DefaultDependencies=no
ConditionPathExists=/etc/initrd-release
After=systemd-sysext.service
Before=initrd.target
[Service]
Type=oneshot
ExecStart=/bin/cp /usr/share/probe/word /run/probe-word
`,
        'systemd.unit-dropin.initrd.target~30-probe': '[Unit]\nWants=probe.service\n',
      },
      commandLine: [`root=UUID=${rootUuid}`, 'rw'],
      ask: 'cat /run/probe-word',
      fstype: 'ext4',
      stack: ['disk'],
      more: /^merged/,
    },
  ],
  suite,
);
