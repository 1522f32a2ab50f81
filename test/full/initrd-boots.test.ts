import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { textCredential } from '../../src/qemu/credentials.ts';
import type { VmHost } from '../../src/qemu/vm.ts';
import type { GuestImages } from '../helpers/guest-images.ts';
import { buildGuests } from '../helpers/guest-images.ts';
import type { RootBoot } from '../helpers/root-boots.ts';
import { bootRoot } from '../helpers/root-boots.ts';
import { vmTools } from '../helpers/tools.ts';

let directory: TemporaryDirectory;
let images: GuestImages;
let host: VmHost;

beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-initrd-boots-');
  images = await buildGuests(directory.path);
  host = { tools: await vmTools(), events: silentEvents, scratch: directory.path };
});
afterAll(() => directory[Symbol.asyncDispose]());

const uuid = '4b1c8a5e-6a53-4c3e-9d6e-0c5d3f1a7e21';
const luks = 'e3b9d2f4-1f0b-4a77-8a43-5b2f6c9d8e10';
const array = '8f2e4c1a:5d3b7e90:a1c6f4d2:37b85e09';

/** Little memory and few rounds: an emulated processor opens it in a second. */
const format = `format_luks() {
  printf secret | cryptsetup luksFormat -q --type luks2 --uuid ${luks} --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$1" -
  printf secret | cryptsetup open "$1" opened -
}
`;
const passphrase = { credentials: [textCredential('cryptsetup.passphrase', 'secret')] };

const cable = `until ip link set eth0 up; do sleep 1; done; ip address add 10.0.9.1/24 dev eth0`;
const address = 'ip=10.0.9.2::10.0.9.1:255.255.255.0:::none';

interface Case extends RootBoot {
  readonly name: string;
  readonly fstype: string;
  readonly stack: readonly string[];
  /** The same for /usr, where it is a file system of its own. */
  readonly usr?: readonly string[];
}

const cases: readonly Case[] = [
  {
    name: 'ext4, by UUID',
    disks: { first: 1024 },
    prepare: `mkfs.ext4 -q -U ${uuid} "$(disk first)"
mount "$(disk first)" /mnt; copy_root /mnt; umount /mnt`,
    commandLine: [`root=UUID=${uuid}`, 'rw'],
    fstype: 'ext4',
    stack: ['disk'],
  },
  {
    name: 'LUKS2, by a passphrase that is a credential',
    disks: { first: 1024 },
    prepare: `${format}format_luks "$(disk first)"
mkfs.ext4 -q /dev/mapper/opened
mount /dev/mapper/opened /mnt; copy_root /mnt; umount /mnt; cryptsetup close opened`,
    commandLine: [`rd.luks.name=${luks}=root`, 'root=/dev/mapper/root', 'rw'],
    machine: passphrase,
    fstype: 'ext4',
    stack: ['crypt', 'disk'],
  },
  {
    name: 'a logical volume on LUKS2',
    flags: ['--initrd-profile=lvm'],
    disks: { first: 1024 },
    prepare: `${format}format_luks "$(disk first)"
vgcreate vg /dev/mapper/opened; lvcreate -q -y -n root -l 100%FREE vg
mkfs.ext4 -q /dev/vg/root
mount /dev/vg/root /mnt; copy_root /mnt; umount /mnt; vgchange -an vg; cryptsetup close opened`,
    commandLine: [`rd.luks.uuid=${luks}`, 'root=/dev/vg/root', 'rw'],
    machine: passphrase,
    fstype: 'ext4',
    stack: ['lvm', 'crypt', 'disk'],
  },
  {
    name: 'RAID1',
    flags: ['--initrd-profile=raid'],
    disks: { first: 1024, second: 1024 },
    prepare: `mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --uuid=${array} "$(disk first)" "$(disk second)"
mkfs.ext4 -q -U ${uuid} /dev/md0
mount /dev/md0 /mnt; copy_root /mnt; umount /mnt; mdadm --stop /dev/md0`,
    commandLine: [`root=UUID=${uuid}`, 'rw'],
    fstype: 'ext4',
    stack: ['raid1', 'disk', 'disk'],
  },
  {
    name: 'RAID1 that has lost a disk',
    flags: ['--initrd-profile=raid'],
    disks: { first: 1024, second: 1024 },
    prepare: `mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --uuid=${array} "$(disk first)" "$(disk second)"
mkfs.ext4 -q -U ${uuid} /dev/md0
mount /dev/md0 /mnt; copy_root /mnt; umount /mnt; mdadm --stop /dev/md0`,
    removed: ['second'],
    commandLine: [`root=UUID=${uuid}`, 'rw'],
    fstype: 'ext4',
    stack: ['raid1', 'disk'],
  },
  {
    name: 'xfs',
    disks: { first: 1024 },
    prepare: `mkfs.xfs -q -m uuid=${uuid} "$(disk first)"
mount "$(disk first)" /mnt; copy_root /mnt; umount /mnt`,
    commandLine: [`root=UUID=${uuid}`, 'rw'],
    fstype: 'xfs',
    stack: ['disk'],
  },
  {
    name: 'LUKS2 on a logical volume',
    flags: ['--initrd-profile=lvm'],
    disks: { first: 1024 },
    prepare: `${format}vgcreate vg "$(disk first)"; lvcreate -q -y -n sealed -l 100%FREE vg
format_luks /dev/vg/sealed
mkfs.ext4 -q /dev/mapper/opened
mount /dev/mapper/opened /mnt; copy_root /mnt; umount /mnt; cryptsetup close opened; vgchange -an vg`,
    commandLine: [`rd.luks.name=${luks}=root`, 'root=/dev/mapper/root', 'rw'],
    machine: passphrase,
    fstype: 'ext4',
    stack: ['crypt', 'lvm', 'disk'],
  },
  {
    name: 'a thin volume',
    flags: ['--initrd-profile=lvm'],
    disks: { first: 1024 },
    prepare: `vgcreate vg "$(disk first)"; lvcreate -q -y --type thin-pool -n pool -L 800M vg
lvcreate -q -y --thin -V 900M -n root vg/pool
mkfs.ext4 -q -U ${uuid} /dev/vg/root
mount /dev/vg/root /mnt; copy_root /mnt; umount /mnt; vgchange -an vg`,
    commandLine: [`root=UUID=${uuid}`, 'rw'],
    fstype: 'ext4',
    stack: ['lvm', 'lvm', 'lvm', 'disk', 'lvm', 'disk'],
  },
  {
    name: 'LUKS2 on RAID1 of logical volumes',
    flags: ['--initrd-profile=lvm,raid'],
    disks: { first: 1024, second: 1024 },
    prepare: `${format}for n in first second; do
  vgcreate "vg-$n" "$(disk "$n")"; lvcreate -q -y -n half -l 100%FREE "vg-$n"
done
mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --uuid=${array} /dev/vg-first/half /dev/vg-second/half
format_luks /dev/md0
mkfs.ext4 -q /dev/mapper/opened
mount /dev/mapper/opened /mnt; copy_root /mnt; umount /mnt; cryptsetup close opened
mdadm --stop /dev/md0; vgchange -an`,
    commandLine: [`rd.luks.name=${luks}=root`, 'root=/dev/mapper/root', 'rw'],
    machine: passphrase,
    fstype: 'ext4',
    stack: ['crypt', 'raid1', 'lvm', 'disk', 'lvm', 'disk'],
  },
  {
    name: 'dm-verity',
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
    name: 'squashfs, below an overlay in memory',
    flags: ['--initrd-profile=live'],
    disks: { first: 512, scratch: 1024 },
    prepare: `mkfs.ext4 -q "$(disk scratch)"; mount "$(disk scratch)" /mnt; mkdir /mnt/root; copy_root /mnt/root
mksquashfs /mnt/root "$(disk first)" -noappend -quiet -no-progress -noI -noD -noF -noX; umount /mnt`,
    removed: ['scratch'],
    commandLine: ['root=/dev/disk/by-id/virtio-first', 'rootfstype=squashfs', 'systemd.volatile=overlay'],
    fstype: 'overlay',
    stack: [],
  },
  {
    name: 'two file systems, the second of them for /usr',
    disks: { first: 512, second: 1024 },
    prepare: `mkfs.ext4 -q "$(disk first)"; mkfs.ext4 -q -U ${uuid} "$(disk second)"
mount "$(disk first)" /mnt; mkdir /mnt/usr; mount "$(disk second)" /mnt/usr; copy_root /mnt; umount -R /mnt`,
    commandLine: [
      ...['root=/dev/disk/by-id/virtio-first', 'rw'],
      ...[`mount.usr=UUID=${uuid}`, 'mount.usrfstype=ext4', 'mount.usrflags=ro'],
    ],
    fstype: 'ext4',
    stack: ['disk'],
    usr: ['disk'],
  },
  {
    name: 'NBD',
    flags: ['--initrd-profile=nbd'],
    disks: { first: 1024 },
    prepare: `mkfs.ext4 -q -U ${uuid} "$(disk first)"
mount "$(disk first)" /mnt; copy_root /mnt; umount /mnt`,
    serve: `${cable}
mkdir -p /etc/nbd-server
printf '[generic]\nuser=root\ngroup=root\n[root]\nexportname=%s\n' "$(disk first)" >/etc/nbd-server/config
nbd-server; echo serving; sleep 3600`,
    commandLine: ['netroot=nbd:10.0.9.1::root', 'root=/dev/nbd0', 'rw', address],
    fstype: 'ext4',
    stack: ['disk'],
  },
  {
    name: 'iSCSI',
    flags: ['--initrd-profile=iscsi'],
    disks: { first: 1024 },
    prepare: `mkfs.ext4 -q -U ${uuid} "$(disk first)"
mount "$(disk first)" /mnt; copy_root /mnt; umount /mnt`,
    serve: `${cable}
tgtd; sleep 2
tgtadm --lld iscsi --op new --mode target --tid 1 -T iqn.2026-01.test:root
tgtadm --lld iscsi --op new --mode logicalunit --tid 1 --lun 1 -b "$(disk first)"
tgtadm --lld iscsi --op bind --mode target --tid 1 -I ALL
echo serving; sleep 3600`,
    commandLine: ['netroot=iscsi:10.0.9.1::::iqn.2026-01.test:root', `root=UUID=${uuid}`, 'rw', address],
    fstype: 'ext4',
    stack: ['disk'],
  },
  {
    name: 'NFS',
    flags: ['--initrd-profile=nfs'],
    disks: { first: 1024 },
    prepare: `mkfs.ext4 -q "$(disk first)"
mkdir /srv/root; mount "$(disk first)" /srv/root; copy_root /srv/root`,
    serve: `${cable}
mkdir -p /run/rpcbind /var/lib/nfs/v4recovery; modprobe nfsd; mount -t nfsd nfsd /proc/fs/nfsd
exportfs -o rw,no_root_squash,no_subtree_check,insecure,fsid=0 '*:/srv/root'
rpc.mountd -N 2 -N 3; rpc.nfsd -N 3 4; echo serving; sleep 3600`,
    commandLine: ['root=10.0.9.1:/', 'rootfstype=nfs4', 'rw', address],
    fstype: 'nfs4',
    stack: [],
  },
  {
    name: 'a subvolume of btrfs',
    disks: { first: 1024 },
    prepare: `mkfs.btrfs -q -U ${uuid} "$(disk first)"
mount "$(disk first)" /mnt; btrfs subvolume create /mnt/@; copy_root /mnt/@; umount /mnt`,
    commandLine: [`root=UUID=${uuid}`, 'rootflags=subvol=@', 'rw'],
    fstype: 'btrfs',
    stack: ['disk'],
  },
];

describe.concurrent('the default initrd finds a root on', () => {
  it.each(cases)('$name', async ({ fstype, stack, usr, ...boot }) => {
    const { result, facts } = await bootRoot(boot, images, host);
    expect(result.verdict, result.consoleTail.join('\n')).toEqual({ outcome: 'passed' });
    expect(facts?.root).toMatchObject({ fstype, stack });
    expect(facts?.usr?.stack).toEqual(usr);
  });
});
