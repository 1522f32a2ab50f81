/**
 * What `default` stands for in KernelInitrdModules=: modules that a generic initrd needs to find, unlock, assemble and mount
 * a root file system and to read a passphrase on common machines and hypervisors. Patterns as in patterns.ts, the last match
 * decides. Left out: graphics, sound, wireless and wired network cards, and whatever drags them in. What a kernel does not
 * have, or has built in, is not missed.
 */
export const genericModules: readonly string[] = [
  // Disks, discs and their controllers.
  'nvme',
  'vmd',
  'drivers/ata/',
  '-pata_pcmcia',
  'drivers/block/virtio_blk',
  'loop',
  'zram',
  'drivers/message/fusion/',
  ...['-mptctl', '-mptlan', '-mptfc'],
  'drivers/scsi/',
  // Fibre Channel over Ethernet and iSCSI offload bring network card drivers with them.
  ...[
    '-bnx2fc',
    '-bnx2i',
    '-qedf',
    '-qedi',
    '-cxgb*i',
    '-libcxgbi',
    '-csiostor',
    '-be2iscsi',
    '-fnic',
    '-bfa',
    '-fcoe',
  ],
  ...[
    '-libfc*',
    '-tcm_qla2xxx',
    '-qla4xxx',
    '-snic',
    '-scsi_debug',
    '-drivers/scsi/pcmcia/',
    '-ch',
    '-st',
    '-osst',
  ],
  // Cards that no machine of this century has.
  ...[
    '-3w-xxxx',
    '-a100u2w',
    '-advansys',
    '-aic94xx',
    '-atp870u',
    '-dc395x',
    '-dmx3191d',
    '-initio',
    '-ips',
    '-megaraid',
  ],
  ...['-megaraid_mbox', '-megaraid_mm', '-pmcraid', '-qla1280', '-qlogicfas408', '-wd719x', '-esas2r'],
  'drivers/mmc/',
  '-sdricoh_cs',
  'rtsx_pci',
  'rtsx_usb',
  'drivers/ufs/host/',
  'drivers/usb/storage/',
  'drivers/nvdimm/',
  'cdrom',

  // Device mapper and software RAID.
  ...[
    'dm-crypt',
    'dm-integrity',
    'dm-mirror',
    'dm-mod',
    'dm-multipath',
    'dm-raid',
    'dm-snapshot',
    'dm-thin-pool',
  ],
  ...[
    'dm-cache',
    'dm-cache-smq',
    'dm-verity',
    'dm-writecache',
    'dm-zero',
    'dm-round-robin',
    'dm-queue-length',
  ],
  ...['dm-service-time', 'dm-clone', 'dm-era'],
  ...['linear', 'raid0', 'raid1', 'raid10', 'raid456', 'md-mod'],

  // File systems, and the character sets that vfat and isofs ask for.
  ...[
    'autofs4',
    'btrfs',
    'erofs',
    'exfat',
    'ext4',
    'isofs',
    'overlay',
    'squashfs',
    'vfat',
    'virtiofs',
    'xfs',
  ],
  ...['9p', '9pnet_virtio', 'efivarfs', 'efi-pstore'],
  ...['nls_ascii', 'nls_cp437', 'nls_iso8859-1', 'nls_utf8', 'nls_ucs2_utils'],

  // Ciphers and hashes: LUKS, dm-integrity and IPE pick them by name at run time.
  'crypto/',
  'arch/*/crypto/',
  'lib/crypto/',
  ...[
    '-tcrypt',
    '-ansi_cprng',
    '-crypto_user',
    '-pcrypt',
    '-*curve25519*',
    '-ecrdsa_generic',
    '-streebog_generic',
  ],
  ...['-chcr', '-drivers/crypto/'],
  'encrypted-keys',
  'trusted',
  'asym_tpm',

  // Hosts of USB and other buses that keyboards and disks hang on.
  'drivers/usb/host/',
  ...['-sl811*', '-isp1*', '-u132*', '-r8a66597*'],
  ...['dwc3', 'dwc3-pci', 'intel-xhci-usb-role-switch', 'thunderbolt'],

  // Keyboards, as far as a passphrase may be typed on them.
  ...['atkbd', 'i8042', 'applespi', 'cros_ec_keyb', 'hyperv-keyboard', 'virtio_input'],
  ...[
    'hid',
    'hid-generic',
    'usbhid',
    'drivers/hid/i2c-hid/',
    'surface_hid',
    'surface_kbd',
    'surface_aggregator*',
  ],
  ...['hid-apple', 'hid-belkin', 'hid-cherry', 'hid-chicony', 'hid-corsair', 'hid-cypress', 'hid-elan'],
  ...[
    'hid-ezkey',
    'hid-google-hammer',
    'hid-gyration',
    'hid-holtek-kbd',
    'hid-hyperv',
    'hid-ite',
    'hid-kensington',
  ],
  ...[
    'hid-keytouch',
    'hid-lenovo',
    'hid-logitech',
    'hid-logitech-dj',
    'hid-logitech-hidpp',
    'hid-magicmouse',
  ],
  ...[
    'hid-maltron',
    'hid-microsoft',
    'hid-monterey',
    'hid-multitouch',
    'hid-ortek',
    'hid-primax',
    'hid-redragon',
  ],
  ...[
    'hid-rmi',
    'hid-samsung',
    'hid-semitek',
    'hid-speedlink',
    'hid-steelseries',
    'hid-sunplus',
    'hid-topseed',
  ],
  ...['hid-vivaldi', 'uhid'],
  ...['i2c-designware-*', 'intel-lpss-*', 'idma64', 'drivers/pinctrl/intel/', 'pinctrl-amd'],
  ...['spi-pxa2xx-*', 'intel-ish-ipc', 'intel-ishtp-hid'],

  // Hypervisors.
  'virtio',
  'virtio_*',
  ...['-virtio_snd', '-virtio-gpu', '-virtio_bt', '-virtio_rproc*', '-virtio_vdpa', '-virtio_dma_buf'],
  ...['drivers/hv/', 'hv_storvsc', 'hv_sock', 'pci-hyperv', 'pci-hyperv-intf', '-hv_netvsc'],
  ...['drivers/xen/', 'xen-blkfront', 'xen-scsifront', 'xen-kbdfront', '-xen-*back'],
  ...['vmw_pvscsi', 'vmw_vmci', 'vmw_balloon', 'vmw_vsock_*', 'vsock', 'vsock_loopback'],
  ...['pvpanic', 'pvpanic-*', 'qemu_fw_cfg', 'dmi-sysfs'],

  // Security chips and random numbers.
  'drivers/char/tpm/',
  'drivers/char/hw_random/',
  ...['ccp', 'sev-guest', 'tdx-guest'],

  // What systemd wants early.
  ...['configfs', 'efivars', 'fuse', 'msr', 'nvmem-*', 'iTCO_wdt', 'softdog'],
  ...['ipv6', 'unix'],
];
