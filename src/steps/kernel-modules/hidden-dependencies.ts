/** Modules that do not work alone, without a word of that in their own data. */
export interface HiddenDependency {
  /** Any of these ... */
  readonly of: readonly string[];
  /** ... needs all of these, names or aliases, as far as the kernel has them. */
  readonly needs: readonly string[];
  readonly because: string;
}

export const hiddenDependencies: readonly HiddenDependency[] = [
  {
    of: ['scsi_mod'],
    needs: ['sd_mod', 'sr_mod'],
    because: 'the kernel asks for drivers of disks and discs when it finds them',
  },
  { of: ['usb-storage'], needs: ['uas'], because: 'many enclosures speak UAS first' },
  { of: ['mmc_core'], needs: ['mmc_block'], because: 'cards are disks only with it' },
  {
    of: [
      'virtio_blk',
      'virtio_scsi',
      'virtio_net',
      'virtio_console',
      'virtio_input',
      'virtiofs',
      '9pnet_virtio',
    ],
    needs: ['virtio_pci', 'virtio_mmio'],
    because: 'virtio devices are reached over a transport',
  },
  { of: ['nvme'], needs: ['vmd'], because: 'firmware may put NVMe disks behind an Intel VMD' },
  { of: ['i8042'], needs: ['atkbd'], because: 'it is a port, not a keyboard' },
  {
    of: ['usbcore'],
    needs: [
      'xhci-pci',
      'xhci-plat-hcd',
      'ehci-pci',
      'ehci-platform',
      'ohci-pci',
      'ohci-platform',
      'uhci-hcd',
    ],
    because: 'ports belong to the controller that the firmware chose',
  },
  { of: ['hid'], needs: ['hid-generic'], because: 'most keyboards have no driver of their own' },
  {
    of: ['i2c-hid-acpi', 'i2c-hid-of', 'i2c-hid'],
    needs: [
      'intel-lpss-pci',
      'intel-lpss-acpi',
      'i2c-designware-platform',
      'i2c-designware-pci',
      'pinctrl-amd',
    ],
    because: 'built-in keyboards hang on a bus and an interrupt of the chipset',
  },
  {
    of: ['applespi', 'surface_hid', 'surface_kbd'],
    needs: [
      'spi-pxa2xx-platform',
      'spi-pxa2xx-pci',
      'intel-lpss-pci',
      'surface_aggregator_registry',
      '8250_dw',
    ],
    because: 'built-in keyboards hang on a bus of the chipset',
  },
  {
    of: ['dm-crypt'],
    needs: [
      ...[
        'crypto-aes',
        'crypto-xts',
        'crypto-xts-aes',
        'crypto-cbc',
        'crypto-cbc-aes',
        'crypto-ecb',
        'crypto-essiv',
      ],
      ...['crypto-sha1', 'crypto-sha256', 'crypto-sha512', 'crypto-hmac', 'crypto-authenc', 'crypto-crc32c'],
      ...['crypto-adiantum', 'crypto-nhpoly1305', 'crypto-xchacha12', 'crypto-xchacha20', 'crypto-lrw'],
      ...[
        'crypto-serpent',
        'crypto-twofish',
        'crypto-camellia',
        'crypto-rmd160',
        'crypto-wp512',
        'crypto-aegis128',
      ],
      ...['af_alg', 'algif_skcipher', 'algif_hash'],
    ],
    because: 'a volume names its ciphers when it is opened',
  },
  {
    of: ['dm-integrity'],
    needs: ['crypto-crc32c', 'crypto-sha256', 'crypto-hmac', 'crypto-xxhash64'],
    because: 'a volume names its checksum when it is opened',
  },
  {
    of: ['dm-verity'],
    needs: ['crypto-sha256', 'crypto-sha512'],
    because: 'a volume names its hash when it is opened',
  },
  {
    of: ['dm-multipath'],
    needs: [
      ...['dm-service-time', 'dm-queue-length', 'dm-round-robin'],
      ...['scsi_dh_alua', 'scsi_dh_rdac', 'scsi_dh_emc', 'scsi_dh_hp_sw'],
    ],
    because: 'path selectors and device handlers are named by multipathd',
  },
  { of: ['dm-cache'], needs: ['dm-cache-smq'], because: 'the policy is named when the cache is opened' },
  {
    of: ['libcrc32c', 'btrfs', 'xfs', 'f2fs', 'nvme_tcp', 'iscsi_tcp'],
    needs: ['crypto-crc32c'],
    because: 'checksums',
  },
  { of: ['f2fs'], needs: ['crypto-crc32'], because: 'checksums' },
  {
    of: ['ubifs'],
    needs: ['crypto-deflate', 'crypto-lzo', 'crypto-zstd'],
    because: 'files may be compressed',
  },
  {
    of: ['encrypted-keys'],
    needs: ['crypto-cbc', 'crypto-aes', 'crypto-hmac', 'crypto-sha256'],
    because: 'ciphers',
  },
  {
    of: ['vfat'],
    needs: ['nls_ascii', 'nls_cp437', 'nls_iso8859-1', 'nls_utf8'],
    because: 'character sets are named when it is mounted',
  },
  { of: ['9p'], needs: ['9pnet_virtio'], because: 'the transport is named when it is mounted' },
  {
    of: ['nfs'],
    needs: ['nfsv3', 'nfsv4', 'rpcsec_gss_krb5'],
    because: 'the version is chosen when it is mounted',
  },
  { of: ['iscsi_tcp', 'iscsi_ibft'], needs: ['sd_mod'], because: 'targets are SCSI disks' },
  {
    of: ['mlx4_core'],
    needs: ['mlx4_en', 'mlx4_ib'],
    because: 'the core driver asks for them when it finds a card',
  },
  { of: ['mlx5_core'], needs: ['mlx5_ib'], because: 'the core driver asks for it when it finds a card' },
  {
    of: ['phy-rockchip-pcie', 'pcie-rockchip-host', 'dw_mmc-rockchip', 'sdhci-of-arasan'],
    needs: ['pl330', 'rockchip-io-domain', 'io-domain'],
    because: 'voltages and DMA of Rockchip boards',
  },
];
