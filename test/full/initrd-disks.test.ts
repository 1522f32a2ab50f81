import { rootUuid, ext4On } from '../helpers/boot-scripts.ts';
import { ofImage, ofSystem } from '../helpers/guest-images.ts';
import type { BootCase } from '../helpers/initrd-boot-suite.ts';
import { bootSuite, testBoots } from '../helpers/initrd-boot-suite.ts';

const cases: readonly BootCase[] = [
  {
    name: 'ext4, by UUID, with the generic initrd of a system',
    initrd: ofSystem(['--generic']),
    disks: { first: 1024 },
    prepare: ext4On('"$(disk first)"'),
    commandLine: [`root=UUID=${rootUuid}`, 'rw'],
    fstype: 'ext4',
    stack: ['disk'],
  },
  {
    name: 'xfs',
    initrd: ofImage(),
    disks: { first: 1024 },
    prepare: `mkfs.xfs -q -m uuid=${rootUuid} "$(disk first)"
mount "$(disk first)" /mnt; copy_root /mnt; umount /mnt`,
    commandLine: [`root=UUID=${rootUuid}`, 'rw'],
    fstype: 'xfs',
    stack: ['disk'],
  },
  {
    name: 'a subvolume of btrfs',
    initrd: ofImage(),
    disks: { first: 1024 },
    prepare: `mkfs.btrfs -q -U ${rootUuid} "$(disk first)"
mount "$(disk first)" /mnt; btrfs subvolume create /mnt/@; copy_root /mnt/@; umount /mnt`,
    commandLine: [`root=UUID=${rootUuid}`, 'rootflags=subvol=@', 'rw'],
    fstype: 'btrfs',
    stack: ['disk'],
  },
  {
    name: 'two file systems, the second of them for /usr',
    initrd: ofImage(),
    disks: { first: 512, second: 1024 },
    prepare: `mkfs.ext4 -q "$(disk first)"; mkfs.ext4 -q -U ${rootUuid} "$(disk second)"
mount "$(disk first)" /mnt; mkdir /mnt/usr; mount "$(disk second)" /mnt/usr; copy_root /mnt; umount -R /mnt`,
    commandLine: [
      ...['root=/dev/disk/by-id/virtio-first', 'rw'],
      ...[`mount.usr=UUID=${rootUuid}`, 'mount.usrfstype=ext4', 'mount.usrflags=ro'],
    ],
    fstype: 'ext4',
    stack: ['disk'],
    usr: ['disk'],
  },
  {
    name: 'dm-verity',
    initrd: ofImage(),
    disks: { first: 1024, second: 64 },
    prepare: `mkfs.ext4 -q "$(disk first)"
mount "$(disk first)" /mnt; copy_root /mnt; umount /mnt
says roothash "$(veritysetup format "$(disk first)" "$(disk second)" | sed -n 's/^Root hash:[[:space:]]*//p')"`,
    commandLine: [
      ...['roothash=@roothash@', 'systemd.verity_root_data=/dev/disk/by-id/virtio-first'],
      ...['systemd.verity_root_hash=/dev/disk/by-id/virtio-second', 'ro', 'systemd.volatile=state'],
    ],
    fstype: 'ext4',
    stack: ['crypt', 'disk', 'disk'],
  },
  {
    name: 'squashfs on a USB stick, below an overlay in memory',
    initrd: ofImage('--initrd-profile=live'),
    disks: { first: 512, scratch: 1024 },
    prepare: `mkfs.ext4 -q "$(disk scratch)"; mount "$(disk scratch)" /mnt; mkdir /mnt/root; copy_root /mnt/root
mksquashfs /mnt/root "$(disk first)" -noappend -quiet -no-progress -noI -noD -noF -noX; umount /mnt`,
    removed: ['scratch'],
    attached: { first: { device: 'none' } },
    machine: () => ({
      extraArguments: ['-device', 'qemu-xhci', '-device', 'usb-storage,drive=first,serial=first'],
    }),
    commandLine: [
      ...['root=/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_first-0:0', 'rootfstype=squashfs'],
      'systemd.volatile=overlay',
    ],
    fstype: 'overlay',
    stack: [],
    ask: 'lsblk -rno TRAN,FSTYPE',
    more: /\busb squashfs\b/,
  },
  {
    name: 'erofs on a disc, below an overlay in memory',
    initrd: ofImage('--initrd-profile=live'),
    disks: { first: 512, scratch: 1024 },
    prepare: `mkfs.ext4 -q "$(disk scratch)"; mount "$(disk scratch)" /mnt; mkdir /mnt/root; copy_root /mnt/root
mkfs.erofs -U ${rootUuid} "$(disk first)" /mnt/root; umount /mnt`,
    removed: ['scratch'],
    attached: { first: { device: 'scsi-cd', readOnly: true } },
    commandLine: [`root=UUID=${rootUuid}`, 'rootfstype=erofs', 'systemd.volatile=overlay'],
    fstype: 'overlay',
    stack: [],
    ask: 'ls /sys/fs/erofs',
    more: /\bsr0\b/,
  },
];

testBoots('an initrd finds a root on', cases, bootSuite());
