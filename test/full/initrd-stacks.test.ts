import { arrayUuid, ext4On, formatLuks, luksUuid, passphrase, rootUuid } from '../helpers/boot-scripts.ts';
import { ofImage, ofSystem } from '../helpers/guest-images.ts';
import type { BootCase } from '../helpers/initrd-boot-suite.ts';
import { bootSuite, testBoots } from '../helpers/initrd-boot-suite.ts';
import { lvmOnLuks } from '../helpers/lvm-on-luks.ts';

const opened = ['root=/dev/mapper/root', 'rw'];

const encrypted: readonly BootCase[] = [
  {
    name: 'LUKS2, by a passphrase that is a credential',
    initrd: ofImage(),
    disks: { first: 1024 },
    prepare: `${formatLuks}format_luks "$(disk first)"
${ext4On('/dev/mapper/opened')}cryptsetup close opened`,
    commandLine: [`rd.luks.name=${luksUuid}=root`, ...opened],
    credentials: passphrase,
    fstype: 'ext4',
    stack: ['crypt', 'disk'],
  },
  {
    name: 'LUKS2, by the security chip alone',
    initrd: ofImage(),
    disks: { first: 1024 },
    tpm: true,
    prepare: `${formatLuks}format_luks "$(disk first)"
${ext4On('/dev/mapper/opened')}cryptsetup close opened
modprobe tpm_crb; udevadm settle
PASSWORD=secret systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 --wipe-slot=password "$(disk first)"
! printf secret | cryptsetup open --test-passphrase --token-type none "$(disk first)" -`,
    commandLine: [`rd.luks.name=${luksUuid}=root`, 'rd.luks.options=tpm2-device=auto', ...opened],
    fstype: 'ext4',
    stack: ['crypt', 'disk'],
  },
  lvmOnLuks,
  {
    name: 'LUKS2 on a logical volume',
    initrd: ofImage('--initrd-profile=lvm'),
    disks: { first: 1024 },
    prepare: `${formatLuks}vgcreate vg "$(disk first)"; lvcreate -q -y -n sealed -l 100%FREE vg
format_luks /dev/vg/sealed
${ext4On('/dev/mapper/opened')}cryptsetup close opened; vgchange -an vg`,
    commandLine: [`rd.luks.name=${luksUuid}=root`, ...opened],
    credentials: passphrase,
    fstype: 'ext4',
    stack: ['crypt', 'lvm', 'disk'],
  },
  {
    name: 'LUKS2 on RAID1 of logical volumes',
    initrd: ofImage('--initrd-profile=lvm,raid'),
    disks: { first: 1024, second: 1024 },
    prepare: `${formatLuks}for n in first second; do
  vgcreate "vg-$n" "$(disk "$n")"; lvcreate -q -y -n half -l 100%FREE "vg-$n"
done
mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --uuid=${arrayUuid} /dev/vg-first/half /dev/vg-second/half
format_luks /dev/md0
${ext4On('/dev/mapper/opened')}cryptsetup close opened
mdadm --stop /dev/md0; vgchange -an`,
    commandLine: [`rd.luks.name=${luksUuid}=root`, ...opened],
    credentials: passphrase,
    fstype: 'ext4',
    stack: ['crypt', 'raid1', 'lvm', 'disk', 'lvm', 'disk'],
  },
];

const mirror = {
  disks: { first: 1024, second: 1024 },
  prepare: `mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --uuid=${arrayUuid} "$(disk first)" "$(disk second)"
${ext4On('/dev/md0')}mdadm --stop /dev/md0`,
  commandLine: [`root=UUID=${rootUuid}`, 'rw'],
  fstype: 'ext4',
};

const assembled: readonly BootCase[] = [
  {
    ...mirror,
    name: 'RAID1',
    initrd: ofImage('--initrd-profile=raid'),
    stack: ['raid1', 'disk', 'disk'],
  },
  {
    ...mirror,
    name: 'RAID1 that has lost a disk',
    initrd: ofImage('--initrd-profile=raid'),
    removed: ['second'],
    stack: ['raid1', 'disk'],
  },
  {
    name: 'a thin volume',
    initrd: ofImage('--initrd-profile=lvm'),
    disks: { first: 1024 },
    prepare: `vgcreate vg "$(disk first)"; lvcreate -q -y --type thin-pool -n pool -L 800M vg
lvcreate -q -y --thin -V 900M -n root vg/pool
${ext4On('/dev/vg/root')}vgchange -an vg`,
    commandLine: [`root=UUID=${rootUuid}`, 'rw'],
    fstype: 'ext4',
    stack: ['lvm', 'lvm', 'lvm', 'disk', 'lvm', 'disk'],
  },
  {
    name: 'a disk with two paths to it',
    initrd: ofSystem(['--host-plus', '--profile=multipath'], {
      // As multipathd leaves it: only a disk that is known from before is kept from being mounted by one of its paths.
      'etc/multipath/wwids': '/35000c500deadbeef/\n',
    }),
    disks: { first: 1024 },
    prepare: ext4On('"$(disk first)"'),
    removed: ['first'],
    machine: (directory) => ({
      extraArguments: [
        ...['-device', 'virtio-scsi-pci,id=paths'],
        ...['one', 'two'].flatMap((id) => [
          ...['-drive', `if=none,id=${id},format=raw,cache=unsafe,file.locking=off,file=/paths/first.raw`],
          ...['-device', `scsi-hd,bus=paths.0,drive=${id},wwn=0x5000c500deadbeef,share-rw=on`],
        ]),
      ],
      extraMounts: [{ source: directory, target: '/paths', mode: 'rw' }],
    }),
    commandLine: [`root=UUID=${rootUuid}`, 'rw'],
    fstype: 'ext4',
    stack: ['mpath', 'disk', 'disk'],
  },
];

testBoots('an initrd finds a root on', [...encrypted, ...assembled], bootSuite());
