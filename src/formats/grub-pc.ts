/*
 * How GRUB's images for PC BIOS find each other (grub-core/boot/i386/pc/{boot,diskboot}.S, include/grub/i386/pc/boot.h):
 * boot.img in the first sector of the disk knows the sector of core.img; core.img's first sector knows where its rest is.
 */

/** Bytes of the first sector that are boot code; partition table and signature follow. */
export const bootCodeBytes = 440;
const kernelSectorAt = 0x5c;
const bootDriveAt = 0x64;
const driveCheckAt = 0x66;
const blockListAt = 500;

/** Boot code for the first sector of a disk whose core image begins at `coreSector`. */
export function bootCode(bootImage: Buffer, coreSector: number): Buffer {
  const code = Buffer.from(bootImage.subarray(0, bootCodeBytes));
  code.writeBigUInt64LE(BigInt(coreSector), kernelSectorAt);
  // 0xff: the drive that the BIOS started from.
  code[bootDriveAt] = 0xff;
  // A jump around the check for BIOSes that tell a wrong drive, which is for floppies: nothing in its place.
  code.fill(0x90, driveCheckAt, driveCheckAt + 2);
  return code;
}

/** The core image for a place on the disk: its blocks follow each other. */
export function placedCore(coreImage: Buffer, coreSector: number): Buffer {
  const core = Buffer.from(coreImage);
  core.writeBigUInt64LE(BigInt(coreSector + 1), blockListAt);
  return core;
}
