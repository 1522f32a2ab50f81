/** A family of distributions that call architectures alike: the one that the others derive from. */
export type NamingFamily = 'debian' | 'fedora' | 'opensuse' | 'arch' | 'alpine';

/** How a kernel image is packed; told by content (formats/kernel.ts), as names differ between distributions. */
export type KernelFormat =
  /** x86, Documentation/arch/x86/boot.rst. */
  | 'bzimage'
  /** arm64, riscv64 and loongarch64: raw `Image` with a PE header. */
  | 'image'
  /** arm 32 bit, self-extracting. */
  | 'zimage'
  /** EFI zboot (drivers/firmware/efi/libstub/zboot-header.S): a PE that unpacks itself. */
  | 'zboot'
  /** Unified kernel image: kernel, initrd and command line in one PE. */
  | 'uki'
  /** ppc64: the linked kernel itself. */
  | 'elf'
  /** s390x flat image. */
  | 's390'
  /** A `gzip` file that holds one of the others, as some arm64 distributions ship it. */
  | 'gzip';

/** What the header of an ELF file of the architecture says (elf(5), numbers of include/uapi/linux/elf-em.h). */
export interface ElfIdentity {
  /** e_machine. */
  readonly machine: number;
  readonly bits: 32 | 64;
  readonly endian: 'little' | 'big';
}

/** GUIDs of a partition's type, of that of its verity hashes, and of their signature. */
type PartitionTypes = readonly [plain: string, verity: string, signature: string];

/** Numbers of system calls, from the kernel's asm/unistd.h of the architecture as its headers define them (Linux 6.1). */
export interface SystemCalls {
  /** sync, fsync, fdatasync, msync, sync_file_range (on ARM and POWER sync_file_range2), syncfs. */
  readonly sync: readonly number[];
  /**
   * The chown family, and setuid, setgid, setreuid, setregid, setresuid, setresgid, setgroups, setfsuid, setfsgid; where 16-bit
   * ids have calls of their own, both.
   */
  readonly ownership: readonly number[];
}

/**
 * One row per architecture: all that mkimg knows of it, but for the virtual machine (qemu/machines/). A new architecture is
 * one file with such a value, and one line in index.ts.
 */
export interface Architecture {
  /**
   * How distributions call it. Debian's is that of dpkg --print-architecture; absent where the family has no packages for
   * it. Source: the ports pages of the distributions.
   */
  readonly names: Readonly<Partial<Record<NamingFamily, string>>> & { readonly debian: string };
  /** uname(2)'s `machine` of a kernel that runs its programs; 64 and 32 bits differ where one kernel runs both. */
  readonly uname: string;
  /** Node's `process.arch`. */
  readonly node: string;
  readonly elf: ElfIdentity;
  /** Absent where there is no UEFI. */
  readonly efi?: {
    /** As in BOOTX64.EFI and linuxx64.efi.stub. */
    readonly name: string;
    /** IMAGE_FILE_MACHINE_* of Microsoft's "PE Format": what EFI programs for it have. The first is usual. */
    readonly peMachines: readonly [number, ...number[]];
  };
  /** Partition types of the Discoverable Partitions Specification (uapi-group.org). */
  readonly partitionTypes: { readonly root: PartitionTypes; readonly usr: PartitionTypes };
  /** Path of the dynamic loader that programs name as their interpreter, with glibc (its wiki's "ABI list"). */
  readonly loader: string;
  /** Name of Debian's directory of libraries in /usr/lib (wiki.debian.org/Multiarch/Tuples). */
  readonly triplet: string;
  readonly kernel: {
    /** Formats in which distributions ship it. */
    readonly formats: readonly KernelFormat[];
    /** Package of the kernel for most machines; absent where the family has none. */
    readonly packages: Readonly<Partial<Record<NamingFamily, string>>>;
    /** The architecture whose kernels also run its programs and are taken where the family has none of its own. */
    readonly from?: string;
    /** Page sizes of the distributions' kernels in bytes, the usual one first. File systems with larger blocks cannot be mounted. */
    readonly pageSizes: readonly [number, ...number[]];
  };
  /** Kernel console of QEMU's machine. */
  readonly console: string;
  /** Program of QEMU that runs its programs on other machines. */
  readonly emulator: string;
  /** Architectures whose processors and kernels, as distributions configure them, run its programs without an emulator. */
  readonly runsOn: readonly string[];
  readonly systemCalls: SystemCalls;
}
