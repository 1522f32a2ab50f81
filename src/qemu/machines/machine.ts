import type { ArchitectureName } from '../../distro/architectures/index.ts';

/** A firmware image and the template of its variable store, as absolute paths in the tools' root. */
export interface FirmwareFiles {
  readonly code: string;
  readonly variables: string;
  /** Another template, which trusts the keys of Microsoft. */
  readonly microsoft?: string;
}

/** How credentials and other strings reach a guest of this machine. */
export interface CredentialChannels {
  /** SMBIOS type 11: `firmware` when the guest sees it only if UEFI firmware runs. */
  readonly smbios: 'always' | 'firmware' | 'never';
  /** QEMU's fw_cfg files; needs the driver qemu_fw_cfg in the guest. */
  readonly fwCfg: boolean;
  /** Longest kernel command line in bytes with its terminator: COMMAND_LINE_SIZE of the kernel's architecture. */
  readonly commandLine: number;
}

/**
 * One row per architecture: all that QEMU has to be told about the machine that stands in for real hardware. A new
 * architecture is one file with such a value, and one line in index.ts.
 */
export interface Machine {
  readonly architecture: ArchitectureName;
  /** QEMU's program. */
  readonly program: string;
  /** Debian packages that hold the program and the firmware, for hints; configs/tools has a profile with them. */
  readonly packages: { readonly qemu: string; readonly firmware?: string };
  /** `-machine` type. */
  readonly type: string;
  /** `-cpu` for each accelerator. */
  readonly cpu: { readonly kvm: string; readonly tcg: string };
  /** Kernel name of the first serial console. */
  readonly console: string;
  readonly devices: {
    readonly block: string;
    readonly scsi: string;
    /** With the options that this model needs. */
    readonly network: string;
    readonly serialBus: string;
    readonly random: string;
    readonly sharedDirectory: string;
    /** What a window shows and takes keys from. */
    readonly display: string;
    /** The guest's end of the host's vsock(7). */
    readonly vsock: string;
    readonly input: readonly string[];
    /** TPM 2.0 front end; absent where firmware and kernel know none. */
    readonly tpm?: string;
    /** Device through which a guest kernel reports its panic. */
    readonly panic?: string;
  };
  /** Candidates in order of preference; absent for machines without UEFI. */
  readonly firmware?: {
    /** `drives`: flash chips are drives of interface `pflash`; `properties`: the machine has to be told which nodes they are. */
    readonly flash: 'drives' | 'properties';
    readonly plain: readonly FirmwareFiles[];
    readonly secureBoot: readonly FirmwareFiles[];
    /** Arguments that firmware with Secure Boot needs, and what is appended to the machine type. */
    readonly secureBootArguments: readonly string[];
    readonly secureBootMachineOptions: string;
  };
  /** A kernel that QEMU loads starts only if firmware is there as well. */
  readonly kernelNeedsFirmware?: boolean;
  readonly channels: CredentialChannels;
  readonly kvm: {
    /** Architectures of the host that can run this machine with KVM. */
    readonly hosts: readonly ArchitectureName[];
    /** One of these stands in `flags` of /proc/cpuinfo when the CPU can virtualise; absent: not shown there. */
    readonly cpuFlags?: readonly string[];
    /** A ROM that runs a guest exists; see kvm.ts. */
    readonly probe: boolean;
  };
}
