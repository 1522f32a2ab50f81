import { gunzipSync } from 'node:zlib';

/**
 * The assembled kvm-probe.S, compressed:
 * `as --64 kvm-probe.S -o p.o; ld -m elf_x86_64 -Ttext 0 --oformat binary -o probe.rom p.o; gzip -9n probe.rom`.
 */
const compressed =
  'H4sIAAAAAAACA+3XMWgTURgA4D+kiKDl4qKCIGehqyRFnENdIoiIk4PzzUVwL3Q2i6OD4CYO3pgUoQGF0qkdCy7JkqFCKBhoadXz' +
  'Xavg7qR8H7x77/5777+fn1suAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD+' +
  '3snmcbN8POuM+vv9UX/vQ6x9KzqjrWgN43Lx9V2xfSFazTyiXuTN9vmivZFObkV3GI20+de21Ti8WD9dWI1+FreLrHG1Pamnm3cn' +
  'xSCliGxpXAyiVS/2i+F6xChbKRajkQLtLB8Vy1VVvS4W0/16tjQqDt6Ms0gpB61Ixe31tj/FWnp/XfCDWdYZpoyN3ounl5rVzvOj' +
  's/DDWXllmpf59Fa5kEYjjR9p3JneK99OuynWHd6o61hZro6qKmt3Pp/OTzZOm8+Oz47fnxWb8yhbs/mX77/7U1Xp8ur9+fxyN67F' +
  '9UkWVRZd3w4AAAD/jurjo/S/nD/p7eoFAAAA/C8OYhyHf7ThJ7Fw6hgAAAEA';
/** SHA-256 of the 65536 bytes of the ROM. */
export const probeRomDigest = 'd18800d0a386cafc35addc273cddd2f160e1f48069d7195413ede2025bc6b6f5';
/** What QEMU exits with when the guest wrote 0x10 to isa-debug-exit: 2 * 0x10 + 1. */
export const probeRomExitCode = 33;
/** What the ROM writes to the serial port: real mode, long mode, end of the loop, interrupts. */
export const probeRomOutput = 'RLNI';

/** A firmware image that runs a short guest: long mode with paging, a loop of 2^24 rounds, three timer interrupts. */
export function probeRom(): Uint8Array {
  return gunzipSync(Buffer.from(compressed, 'base64'));
}
