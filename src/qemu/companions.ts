import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { exists } from '../base/files.ts';
import type { LongRunning } from '../sandbox/long-running.ts';
import { startLongRunning } from '../sandbox/long-running.ts';
import type { Mount, ToolsRoot } from '../sandbox/types.ts';
import { toolsHave } from './firmware.ts';

/** Where a machine's helpers run: beside it, with its directory in common. */
export interface CompanionHost {
  readonly tools: ToolsRoot;
  readonly events: EventSink;
  /** The machine's directory on the host. */
  readonly run: HostPath;
  /** The same directory as seen in the sandbox. */
  readonly mountedAt: string;
}

/** A program that serves a machine on a socket. */
export interface Companion extends AsyncDisposable {
  /** As seen in the sandbox. */
  readonly socket: string;
}

const startSeconds = 10;

/** A directory of the host for a guest. */
export interface ServedDirectory {
  /** Names the socket. */
  readonly name: string;
  readonly path: HostPath;
  /** Nobody but the guest changes it, so the guest need not ask again for what it knows. */
  readonly isPrivate: boolean;
}

/** Serves a host directory by virtiofs. It is as writable as it is for this process. */
export async function startDirectoryServer(
  host: CompanionHost,
  { name, path, isPrivate }: ServedDirectory,
): Promise<Companion> {
  const program = await findDirectoryServer(host.tools);
  const argv = directoryServerArgv(`${host.mountedAt}/${name}.sock`, '/share', isPrivate);
  return startCompanion(host, {
    program,
    argv,
    socket: `${name}.sock`,
    mounts: [{ source: path, target: '/share', mode: 'rw' }],
  });
}

/** virtiofsd's arguments. It runs in a sandbox already, which has nothing but the directory. */
export function directoryServerArgv(socket: string, directory: string, isPrivate: boolean): string[] {
  return [
    ['--socket-path', socket],
    ['--shared-dir', directory],
    ['--sandbox', 'none'],
    // File handles need CAP_DAC_READ_SEARCH over the host's file system.
    ['--inode-file-handles=never'],
    ['--xattr'],
    ['--cache', isPrivate ? 'always' : 'auto'],
  ].flat();
}

/** Where distributions put virtiofsd. */
const directoryServers = ['/usr/libexec/virtiofsd', '/usr/lib/virtiofsd', '/usr/bin/virtiofsd'] as const;

export async function hasDirectoryServer(tools: ToolsRoot): Promise<boolean> {
  const found = await Promise.all(directoryServers.map((path) => toolsHave(tools, path)));
  return found.includes(true);
}

/** virtiofsd's path inside the tools. @throws MkimgError `tool-missing` */
export async function findDirectoryServer(tools: ToolsRoot): Promise<string> {
  for (const path of directoryServers) if (await toolsHave(tools, path)) return path;
  throw new MkimgError('tool-missing', 'virtiofsd is not among the tools; it serves the root directory', {
    hint: "Install the package 'virtiofsd', or use ToolsTree=default.",
  });
}

/** Starts a TPM 2.0. @param state keeps what it holds; without one it begins empty and ends with the machine */
export async function startTpm(host: CompanionHost, state: HostPath | undefined): Promise<Companion> {
  const directory = join(host.run, 'tpm');
  await mkdir(directory, { mode: 0o700 });
  return startCompanion(host, {
    program: 'swtpm',
    argv: tpmArgv(`${host.mountedAt}/tpm`, stateDirectory),
    socket: 'tpm/control',
    mounts: [{ source: state ?? hostPath(directory), target: stateDirectory, mode: 'rw' }],
  });
}

/** Where the TPM's own program sees its state. */
const stateDirectory = '/state';

/** swtpm's arguments; its own filter of system calls does not know what the sandbox's needs. */
export function tpmArgv(directory: string, state: string): string[] {
  return [
    ['socket', '--tpm2', '--terminate'],
    ['--tpmstate', `dir=${state}`],
    ['--ctrl', `type=unixio,path=${directory}/control`],
    ['--seccomp', 'action=none'],
  ].flat();
}

/** Where `TPM=auto` looks. */
export const tpmProgram = '/usr/bin/swtpm';

interface CompanionRequest {
  readonly program: string;
  readonly argv: readonly string[];
  /** Relative to the machine's directory. */
  readonly socket: string;
  readonly mounts: readonly Mount[];
}

async function startCompanion(host: CompanionHost, request: CompanionRequest): Promise<Companion> {
  const program = await startLongRunning({
    spec: {
      tools: host.tools,
      mounts: [{ source: host.run, target: host.mountedAt, mode: 'rw' }, ...request.mounts],
      network: false,
      env: {},
      suppressSync: false,
      suppressChown: false,
    },
    tool: request.program,
    argv: request.argv,
    sockets: 0,
    events: host.events,
  });
  await waitForSocket(program, request.program, join(host.run, request.socket));
  return {
    socket: `${host.mountedAt}/${request.socket}`,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

async function waitForSocket(program: LongRunning, name: string, path: string): Promise<void> {
  const state = { hasEnded: false };
  void program.ended.then(() => {
    state.hasEnded = true;
  });
  const deadline = Date.now() + startSeconds * 1000;
  while (!(await exists(path))) {
    if (state.hasEnded || Date.now() > deadline) {
      program.kill();
      const { exitCode, stderr } = await program.ended;
      throw new MkimgError('tool-failed', `${name} did not start (exit code ${exitCode})`, { tail: stderr });
    }
    await sleep(20);
  }
}
