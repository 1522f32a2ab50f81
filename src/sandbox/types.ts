import type { HostPath } from '../base/brand.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';

/** How this process may act on trees; decided once, before the first step. See namespace.ts. */
export type PrivilegeMode =
  /** uid 0 of the machine. */
  | 'root'
  /** uid 0 of a user namespace with a full range of subordinate ids. */
  | 'subids'
  /** uid 0 of a user namespace with one id: ownership is flattened, chown is answered by a filter. */
  | 'single-id';

/** Where tools come from: the host's /usr, or a tree that mkimg built or the user named. */
export type ToolsRoot = { readonly kind: 'host' } | { readonly kind: 'tree'; readonly path: HostPath };

/** What runs programs that the machine's processor cannot run. */
export interface Emulator {
  readonly architecture: ArchitectureName;
  /** QEMU's program for it, linked statically: it is used in trees that lack its libraries. */
  readonly program: HostPath;
}

export interface Mount {
  readonly source: HostPath;
  /** Absolute path inside the sandbox. */
  readonly target: string;
  /** `dev` is writable and keeps device nodes usable (bwrap --dev-bind); needed for roots in which packages are set up. */
  readonly mode: 'ro' | 'rw' | 'dev';
}

/** Everything that decides what a tool sees. Pure data; bubblewrapArgv() turns it into a command line. */
export interface SandboxSpec {
  readonly tools: ToolsRoot;
  readonly mounts: readonly Mount[];
  /** Absolute paths inside the sandbox that are empty and writable. /tmp, /run and /var/tmp always are. */
  readonly tmpfs?: readonly string[];
  readonly symlinks?: readonly { readonly target: string; readonly path: string }[];
  readonly network: boolean;
  /** Complete environment; nothing is inherited. PATH, LANG=C.UTF-8, HOME and TMPDIR have defaults. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  /** Answer fsync and friends without doing them. Default true. */
  readonly suppressSync?: boolean;
  /** Answer chown without doing it; set where only one id is mapped. */
  readonly suppressChown: boolean;
  /** Run inside this tree instead of the tools: `chroot`, with fresh /dev, /proc and /sys. `tools` is then unused. */
  readonly root?: HostPath;
  /** Absent where nothing is emulated, and where the machine's own list of interpreters has one. */
  readonly emulator?: Emulator;
}

/** One program to run. */
export interface RunRequest {
  /** Name of a program in the sandbox, found on its PATH, or an absolute path there. */
  readonly tool: string;
  readonly argv: readonly string[];
  readonly mounts?: readonly Mount[];
  readonly tmpfs?: readonly string[];
  readonly symlinks?: readonly { readonly target: string; readonly path: string }[];
  readonly env?: Readonly<Record<string, string>>;
  readonly network?: boolean;
  readonly workingDirectory?: string;
  readonly suppressSync?: boolean;
  readonly root?: HostPath;
  readonly input?: string | Uint8Array;
  /** Where standard output goes: to events line by line (default), into the result, into a file, or to whoever takes lines. */
  readonly stdout?: 'events' | 'capture' | { readonly file: HostPath } | LineTaker;
  /** Exit codes that mean success. Default [0]. */
  readonly okExitCodes?: readonly number[];
  /** What this run is for, for the error text: "installing packages". */
  readonly purpose: string;
}

/** Takes lines of output one by one, while the program runs. */
export interface LineTaker {
  readonly line: (text: string) => void;
}

export interface RunResult {
  readonly exitCode: number;
  /** Standard output, for `capture`. */
  readonly stdout: string;
}

/** Runs programs for one step: the tools tree, privileges, event sink and abort signal are bound in. */
export interface Sandbox {
  readonly mode: PrivilegeMode;
  readonly tools: ToolsRoot;
  /** @throws MkimgError `tool-failed` with the last lines and the command line to enter the same sandbox. */
  run(request: RunRequest): Promise<RunResult>;
}

/** A program that a step needs, checked before anything runs. `tool` is a row of tool-table.ts. */
export interface ToolNeed {
  readonly tool: string;
  /** Lowest version that works, compared number by number. */
  readonly minimum?: string;
  /** For the error: what it is needed for. */
  readonly reason: string;
}
