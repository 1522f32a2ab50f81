import { createHash } from 'node:crypto';
import type { Sha256 } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import type { ByteSource } from '../formats/bytes.ts';

/** The register of a TPM that the kernel's EFI stub measures command line and initrd into. */
export const initrdRegister = 9;

const chunk = 1 << 20;

/**
 * The digest that the kernel extends {@link initrdRegister} with when it loads an initrd: one event over all its bytes, padding
 * between its parts included (efi_load_initrd() in drivers/firmware/efi/libstub/efi-stub-helper.c).
 */
export function initrdMeasurement(initrd: ByteSource): Sha256 {
  const hash = createHash('sha256');
  for (let offset = 0; offset < initrd.size; offset += chunk)
    hash.update(initrd.read(offset, Math.min(chunk, initrd.size - offset)));
  return sha256Digest(hash.digest('hex'));
}
