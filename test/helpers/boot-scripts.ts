/** Parts that scripts of helper guests have in common, and words for the kernel that go with them. */

export const rootUuid = '4b1c8a5e-6a53-4c3e-9d6e-0c5d3f1a7e21';
export const luksUuid = 'e3b9d2f4-1f0b-4a77-8a43-5b2f6c9d8e10';
export const arrayUuid = '8f2e4c1a:5d3b7e90:a1c6f4d2:37b85e09';

/** `format_luks DEVICE [PASSPHRASE]` opens it as /dev/mapper/opened. Few rounds: an emulated processor is done in a second. */
export const formatLuks = `format_luks() {
  printf %s "\${2:-secret}" | cryptsetup luksFormat -q --type luks2 --uuid ${luksUuid} --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$1" -
  printf %s "\${2:-secret}" | cryptsetup open "$1" opened -
}
`;

/** The answer to the question for the passphrase of {@link formatLuks}. */
export const passphrase = { 'cryptsetup.passphrase': 'secret' };

/** Puts the root onto a device and makes its file system ext4. */
export function ext4On(device: string): string {
  return `mkfs.ext4 -q -U ${rootUuid} ${device}
mount ${device} /mnt; copy_root /mnt; umount /mnt
`;
}

/** Puts the helper guest onto the cable. */
export const cable = `until ip link set eth0 up; do sleep 1; done; ip address add 10.0.9.1/24 dev eth0`;

/** The address of the booted guest on the cable. */
export const address = 'ip=10.0.9.2::10.0.9.1:255.255.255.0:::none';
