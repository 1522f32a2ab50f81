import { MkimgError } from '../base/errors.ts';

/*
 * What a loader hands over to a kernel of s390x stands in the kernel's own image (arch/s390/kernel/head.S and
 * Documentation/arch/s390 of the kernel): the image is loaded from its 64th kilobyte on, and begins there.
 */

/** Where the part of the file that is loaded begins, and the address to which it is loaded. */
export const kernelBegin = 0x10000;
const initrdAddressAt = 0x10408;
const initrdSizeAt = 0x10410;
const commandLineLimitAt = 0x10430;
export const commandLineAt = 0x10480;
/** Of kernels that do not say it. */
const oldCommandLineLimit = 896;

/** 64 bits of a program status word: addresses of 31 bits, begin at {@link kernelBegin}. */
export const kernelStart = 0x0008_0000_8001_0000n;

/** Above where kernels unpack themselves, and below the end of the smallest machines that boot a distribution. */
export const initrdAddress = 0x400_0000n;

export interface KernelParameters {
  readonly commandLine: string;
  /** Bytes. */
  readonly initrdSize: number;
}

/** Longest command line in bytes with its terminator. */
export function commandLineLimit(kernel: Buffer): number {
  return limitAt(kernel, commandLineLimitAt);
}

function limitAt(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64BE(offset)) || oldCommandLineLimit;
}

/** Bytes of a loaded kernel within which its parameters stand. */
export const kernelHeaderBytes = 0x4000;

/** The command line of a kernel that is about to be loaded, and its longest, from the first bytes of what is loaded. */
export function storedCommandLine(loaded: Buffer): { readonly text: string; readonly limit: number } {
  const limit = Math.min(limitAt(loaded, commandLineLimitAt - kernelBegin), kernelHeaderBytes / 2);
  const field = loaded.subarray(commandLineAt - kernelBegin, commandLineAt - kernelBegin + limit);
  const end = field.indexOf(0);
  return { text: field.toString('utf8', 0, end < 0 ? limit : end), limit };
}

/**
 * The part of a kernel that is loaded, with its parameters in place.
 * @throws MkimgError `command-line-too-long`
 */
export function kernelToLoad(kernel: Buffer, { commandLine, initrdSize }: KernelParameters): Buffer {
  const limit = commandLineLimit(kernel);
  const text = Buffer.from(`${commandLine}\0`);
  if (text.length > limit) throw commandLineTooLong(text.length, limit);
  const loaded = Buffer.from(kernel.subarray(kernelBegin));
  loaded.writeBigUInt64BE(initrdSize === 0 ? 0n : initrdAddress, initrdAddressAt - kernelBegin);
  loaded.writeBigUInt64BE(BigInt(initrdSize), initrdSizeAt - kernelBegin);
  text.copy(loaded, commandLineAt - kernelBegin);
  return loaded;
}

export function commandLineTooLong(bytes: number, limit: number): MkimgError {
  return new MkimgError(
    'command-line-too-long',
    `The kernel command line has ${bytes} bytes; the kernel takes ${limit}.`,
    { hint: 'Shorten KernelCommandLine=.' },
  );
}
