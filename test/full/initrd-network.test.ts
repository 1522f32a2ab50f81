import { address, cable, ext4On, formatLuks, luksUuid, rootUuid } from '../helpers/boot-scripts.ts';
import { ofImage, ofSystem } from '../helpers/guest-images.ts';
import type { BootCase } from '../helpers/initrd-boot-suite.ts';
import { bootSuite, testBoots } from '../helpers/initrd-boot-suite.ts';

const onDisk = { disks: { first: 1024 }, prepare: ext4On('"$(disk first)"') };
const byUuid = [`root=UUID=${rootUuid}`, 'rw', address];

const cases: readonly BootCase[] = [
  {
    ...onDisk,
    name: 'NBD, with an address from DHCP',
    initrd: ofImage('--initrd-profile=nbd'),
    serve: `${cable}
mkdir -p /etc/nbd-server
printf '[generic]\\nuser=root\\ngroup=root\\n[root]\\nexportname=%s\\n' "$(disk first)" >/etc/nbd-server/config
dnsmasq --user=root --port=0 --interface=eth0 --bind-interfaces --dhcp-range=10.0.9.20,10.0.9.20 --dhcp-leasefile=/run/leases
nbd-server; echo serving; sleep 3600`,
    commandLine: ['netroot=nbd:10.0.9.1::root', 'root=/dev/nbd0', 'rw'],
    fstype: 'ext4',
    stack: ['disk'],
    ask: 'cat /proc/net/fib_trie',
    more: /\b10\.0\.9\.20\b/,
  },
  {
    ...onDisk,
    name: 'iSCSI, by the name that a system has as initiator',
    initrd: ofSystem(['--host-plus', '--profile=iscsi'], {
      'etc/iscsi/initiatorname.iscsi': 'InitiatorName=iqn.2026-01.test:client\n',
    }),
    serve: `${cable}
tgtd; sleep 2
tgtadm --lld iscsi --op new --mode target --tid 1 -T iqn.2026-01.test:root
tgtadm --lld iscsi --op new --mode logicalunit --tid 1 --lun 1 -b "$(disk first)"
tgtadm --lld iscsi --op bind --mode target --tid 1 --initiator-name iqn.2026-01.test:client
echo serving; sleep 3600`,
    commandLine: ['netroot=iscsi:10.0.9.1::::iqn.2026-01.test:root', ...byUuid],
    fstype: 'ext4',
    stack: ['disk'],
  },
  {
    ...onDisk,
    name: 'NVMe over TCP, by the discovery.conf and the host name of a system',
    initrd: ofSystem(['--host-plus', '--profile=nvme-of'], {
      'etc/nvme/discovery.conf': '--transport=tcp --traddr=10.0.9.1 --trsvcid=4420\n',
      'etc/nvme/hostnqn': 'nqn.2026-01.test:client\n',
    }),
    serve: `${cable}
modprobe -a nvmet nvmet-tcp
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
cd /sys/kernel/config/nvmet
mkdir hosts/nqn.2026-01.test:client subsystems/nqn.2026-01.test:root ports/1
cd subsystems/nqn.2026-01.test:root
ln -s ../../hosts/nqn.2026-01.test:client allowed_hosts/
mkdir namespaces/1
printf %s "$(disk first)" >namespaces/1/device_path; echo 1 >namespaces/1/enable
cd ../../ports/1
echo ipv4 >addr_adrfam; echo tcp >addr_trtype; echo 10.0.9.1 >addr_traddr; echo 4420 >addr_trsvcid
ln -s ../../subsystems/nqn.2026-01.test:root subsystems/
echo serving; sleep 3600`,
    commandLine: byUuid,
    fstype: 'ext4',
    stack: ['disk'],
    ask: 'findmnt -no SOURCE /',
    more: /nvme\d+n1/,
  },
  {
    name: 'NFS',
    initrd: ofImage('--initrd-profile=nfs'),
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
    name: 'LUKS2, by a passphrase that comes by ssh',
    initrd: ofImage('--initrd-profile=ssh-unlock'),
    disks: { first: 1024, key: 1 },
    prepare: `${formatLuks}format_luks "$(disk first)"
${ext4On('/dev/mapper/opened')}cryptsetup close opened
dropbearkey -t ed25519 -f /tmp/key
says key "$(dropbearkey -y -f /tmp/key | sed -n 's/^ssh-ed25519 \\([^ ]*\\).*/\\1/p')"
tar -C /tmp -cf "$(disk key)" key`,
    visit: {
      disks: ['key'],
      script: `${cable}
tar -C /tmp -xf "$(disk key)"
while :; do
  # It wants a terminal of its own for the question.
  { sleep 10; echo secret; sleep 10; } | script -qec 'dbclient -y -y -t -i /tmp/key root@10.0.9.2' /dev/null || sleep 2
done`,
    },
    removed: ['key'],
    credentials: { 'ssh.authorized_keys.root': 'ssh-ed25519 @key@ test' },
    commandLine: [`rd.luks.name=${luksUuid}=root`, 'root=/dev/mapper/root', 'rw', address],
    fstype: 'ext4',
    stack: ['crypt', 'disk'],
  },
];

testBoots('an initrd finds a root by', cases, bootSuite());
