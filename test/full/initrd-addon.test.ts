import { ext4On, formatLuks, luksUuid } from '../helpers/boot-scripts.ts';
import { ofVendor } from '../helpers/guest-images.ts';
import { bootSuite, testBoots } from '../helpers/initrd-boot-suite.ts';

testBoots(
  "an addon to a vendor's image brings",
  [
    {
      name: 'drivers, crypttab with its key, and the kernel command line',
      // The image has no driver of the disk, no cipher, and does not know where the root is.
      initrd: ofVendor({
        modules: 'ext4',
        files: {
          'etc/mkimg-addon/mkimg.conf': '',
          'etc/crypttab': `root UUID=${luksUuid} /etc/cryptsetup-keys.d/root.key luks,x-initrd.attach\n`,
          'etc/cryptsetup-keys.d/root.key': 'secret',
          'etc/kernel/cmdline': 'root=/dev/mapper/root rw\n',
        },
      }),
      disks: { first: 1024 },
      prepare: `${formatLuks}format_luks "$(disk first)"
${ext4On('/dev/mapper/opened')}cryptsetup close opened`,
      commandLine: [],
      fstype: 'ext4',
      stack: ['crypt', 'disk'],
    },
  ],
  bootSuite(),
);
