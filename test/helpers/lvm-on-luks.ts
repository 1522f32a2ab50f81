import { ext4On, formatLuks, luksUuid } from './boot-scripts.ts';
import { ofSystem } from './guest-images.ts';
import type { BootCase } from './initrd-boot-suite.ts';

/** Takes all parts of what `mkimg initrd` makes: packages of a profile, modules of both mappers, crypttab and key of the host. */
export const lvmOnLuks: BootCase = {
  name: 'a logical volume on LUKS2, by the crypttab and the key of a system',
  initrd: ofSystem(['--host-plus', '--profile=lvm'], {
    'etc/crypttab': `sealed UUID=${luksUuid} /etc/cryptsetup-keys.d/sealed.key luks,x-initrd.attach\n`,
    'etc/cryptsetup-keys.d/sealed.key': 'secret',
  }),
  disks: { first: 1024 },
  prepare: `${formatLuks}format_luks "$(disk first)"
vgcreate vg /dev/mapper/opened; lvcreate -q -y -n root -l 100%FREE vg
${ext4On('/dev/vg/root')}vgchange -an vg; cryptsetup close opened`,
  commandLine: ['root=/dev/vg/root', 'rw'],
  fstype: 'ext4',
  stack: ['lvm', 'crypt', 'disk'],
};
