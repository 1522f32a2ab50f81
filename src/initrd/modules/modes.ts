/**
 * Which modules an initrd gets. `generic`: what common machines and hypervisors need; `host`: what this machine needs;
 * `host-plus`: that, and what lets the disk move to a similar machine.
 */
export const initrdModes = ['generic', 'host-plus', 'host'] as const;
export type InitrdMode = (typeof initrdModes)[number];

/**
 * Kinds of drivers that can matter before the root file system is there, besides the generic ones. A device of the host gets
 * its driver into the initrd only when this or the generic set has it: graphics, sound and wireless cards can wait.
 */
export const bootDrivers: readonly string[] = [
  ...['drivers/hid/', 'drivers/input/keyboard/', 'drivers/input/serio/'],
  ...[
    'drivers/usb/host/',
    'drivers/usb/dwc2/',
    'drivers/usb/dwc3/',
    'drivers/usb/cdns3/',
    'drivers/usb/musb/',
  ],
  ...[
    'drivers/usb/chipidea/',
    'drivers/usb/phy/',
    'drivers/usb/roles/',
    'drivers/usb/typec/',
    'drivers/thunderbolt/',
  ],
  ...[
    'drivers/phy/',
    'drivers/regulator/',
    'drivers/clk/',
    'drivers/reset/',
    'drivers/pinctrl/',
    'drivers/gpio/',
  ],
  ...[
    'drivers/i2c/busses/',
    'drivers/spi/',
    'drivers/mfd/',
    'drivers/bus/',
    'drivers/dma/',
    'drivers/iommu/',
  ],
  ...[
    'drivers/soc/',
    'drivers/firmware/',
    'drivers/nvmem/',
    'drivers/mux/',
    'drivers/interconnect/',
    'drivers/pmdomain/',
  ],
  ...[
    'drivers/pci/',
    'drivers/acpi/',
    'drivers/rtc/',
    'drivers/memstick/',
    'drivers/firewire/',
    'drivers/ufs/',
  ],
  ...['drivers/nvme/', 'drivers/block/', 'drivers/md/', 'drivers/mmc/', 'drivers/scsi/', 'drivers/ata/'],
  ...[
    'drivers/char/tpm/',
    'drivers/char/hw_random/',
    'drivers/platform/chrome/',
    'drivers/platform/surface/',
  ],
  ...[
    'drivers/virtio/',
    'drivers/hv/',
    'drivers/xen/',
    'drivers/tty/serial/',
    'drivers/mailbox/',
    'drivers/hwspinlock/',
  ],
  '-drivers/hid/hid-sensor*',
  // What hangs on the SMBus is no keyboard and no disk.
  ...['-i2c-i801', '-i2c-piix4', '-i2c-smbus'],
];

/** What `host-plus` adds to `host`. */
export const survivalKit: readonly { readonly what: string; readonly patterns: readonly string[] }[] = [
  {
    what: 'keyboards',
    patterns: [
      ...[
        'drivers/hid/',
        '-drivers/hid/amd-sfh-hid/',
        '-drivers/hid/intel-ish-hid/',
        '-drivers/hid/intel-thc-hid/',
      ],
      ...[
        '-hid-sensor*',
        '-hid-picolcd*',
        '-hid-wiimote',
        '-hid-playstation',
        '-hid-nintendo',
        '-hid-sony',
        '-hid-steam',
      ],
      ...['-hid-udraw*', '-wacom', '-hid-prodikeys', '-hid-letsketch', '-hid-uclogic', '-hid-logitech-hidpp'],
      ...['hid-logitech-hidpp', 'atkbd', 'i8042'],
    ],
  },
  {
    what: 'USB',
    patterns: [
      ...['xhci-hcd', 'xhci-pci', 'ehci-pci', 'ehci-hcd', 'ohci-pci', 'ohci-hcd', 'uhci-hcd'],
      ...['usb-storage', 'uas'],
    ],
  },
  {
    what: 'disks',
    patterns: [
      ...['nvme', 'vmd', 'ahci', 'sd_mod', 'sr_mod', 'ata_piix', 'mmc_block'],
      ...['sdhci-pci', 'sdhci-acpi'],
    ],
  },
  {
    what: 'virtual machines',
    patterns: [
      ...[
        'virtio_pci',
        'virtio_mmio',
        'virtio_blk',
        'virtio_scsi',
        'virtio_console',
        'virtio-rng',
        'virtio_input',
      ],
      'virtio_balloon',
    ],
  },
  {
    what: 'EFI system partition',
    patterns: ['vfat', 'nls_ascii', 'nls_cp437', 'nls_iso8859-1', 'nls_utf8', 'efivarfs'],
  },
];

/** Asked for by systemd or its generators by name, whatever the hardware. */
export const bootEssentials: readonly string[] = [
  ...[
    'autofs4',
    'efivarfs',
    'efi-pstore',
    'dmi-sysfs',
    'qemu_fw_cfg',
    'overlay',
    'loop',
    'configfs',
    'fuse',
    'vsock',
  ],
  ...[
    'vmw_vsock_virtio_transport',
    'unix',
    'ipv6',
    'dm-mod',
    'dm-verity',
    'squashfs',
    'erofs',
    'tpm_tis',
    'tpm_crb',
  ],
];
