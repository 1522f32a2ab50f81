import { readdir } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { isErrno } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { readTextIfExists } from '../base/files.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import { architectures } from '../distro/architectures/index.ts';
import { elfMagic } from './emulation.ts';
import { runProgram } from './process.ts';
import { isAtLeast, parseVersion } from './tools.ts';

/** Where the kernel shows the interpreters that it starts for programs that it cannot start itself. */
const interpreterList = '/proc/sys/fs/binfmt_misc';

/** QEMU before this one is many times slower on arm64, and ends programs of loongarch64 with SIGILL. */
const minimumVersion = '10';
/** Linux that keeps a list of interpreters for each user namespace. */
const privateListSince = '6.7';

/** An entry of the list, as far as it decides whether programs in trees are run by it. */
export interface Interpreter {
  readonly path: string;
  /** P, O, C and F; see binfmtRegistration(). */
  readonly flags: string;
  readonly offset: number;
  readonly magic: Buffer;
  readonly mask: Buffer;
}

/** Reads an entry; undefined for those that are switched off or go by the names of files. */
export function parseInterpreter(text: string): Interpreter | undefined {
  const lines = text.split('\n');
  const value = (name: string): string | undefined =>
    lines
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1)
      .trim();
  const [path, magic] = [value('interpreter'), value('magic')];
  if (lines[0] !== 'enabled' || path === undefined || magic === undefined) return undefined;
  const bytes = Buffer.from(magic, 'hex');
  const mask = value('mask');
  return {
    path,
    flags: value('flags:') ?? '',
    offset: Number(value('offset') ?? 0),
    magic: bytes,
    mask: mask === undefined ? Buffer.alloc(bytes.length, 0xff) : Buffer.from(mask, 'hex'),
  };
}

/** True where it runs executables of the architecture in trees that do not have it: it was opened when it was registered. */
export function runsInTrees(
  { flags, offset, magic, mask }: Interpreter,
  architecture: ArchitectureName,
): boolean {
  if (!flags.includes('F') || offset !== 0) return false;
  const wanted = elfMagic(architectures[architecture].elf).magic;
  return (
    magic.length > 0 &&
    magic.every((byte, index) => ((byte ^ (wanted[index] ?? 0)) & (mask[index] ?? 0xff)) === 0)
  );
}

/** An interpreter of the machine's. */
export interface RegisteredInterpreter {
  readonly path: string;
  /** `unknown` where it does not tell. */
  readonly version: string;
}

/** The first of the machine's interpreters for an architecture. */
export async function registeredInterpreter(
  architecture: ArchitectureName,
): Promise<RegisteredInterpreter | undefined> {
  for (const name of await listNames()) {
    const interpreter = parseInterpreter((await readTextIfExists(join(interpreterList, name))) ?? '');
    if (interpreter === undefined || !runsInTrees(interpreter, architecture)) continue;
    return { path: interpreter.path, version: await versionOf(interpreter.path) };
  }
  return undefined;
}

/** An interpreter of the machine's that is good enough, or as good as can be had here. */
export async function usableInterpreter(
  architecture: ArchitectureName,
): Promise<RegisteredInterpreter | undefined> {
  const found = await registeredInterpreter(architecture);
  if (found === undefined) return undefined;
  return isAtLeast(found.version, minimumVersion) || !canRegisterPrivately() ? found : undefined;
}

/** The kernel lets a build have a list of its own. */
export function canRegisterPrivately(kernel: string = release()): boolean {
  return isAtLeast(/^\d+\.\d+/.exec(kernel)?.[0] ?? '', privateListSince);
}

async function listNames(): Promise<readonly string[]> {
  try {
    const names = await readdir(interpreterList);
    return names.filter((name) => name !== 'register' && name !== 'status').sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return [];
    throw error;
  }
}

async function versionOf(path: string): Promise<string> {
  try {
    const { stdout } = await runProgram({
      ...{ argv: [path, '--version'], env: { LANG: 'C.UTF-8' }, stdout: 'capture', events: silentEvents },
    });
    return parseVersion(stdout, /version (\d+(?:\.\d+)+)/);
  } catch {
    // Registered from a place that is gone since.
    return 'unknown';
  }
}
