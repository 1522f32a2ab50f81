import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../base/errors.ts';
import { namesIn } from '../../base/files.ts';
import { architectureNames } from '../../distro/architectures/index.ts';
import type { Check, Finding, Surroundings } from './check.ts';
import { good, lacking } from './check.ts';
import { outputOf, versionIn } from './output-of.ts';
import { installCommand } from './packages.ts';

const registrations = '/proc/sys/fs/binfmt_misc';

/** An entry of binfmt_misc. */
export interface Interpreter {
  readonly isEnabled: boolean;
  readonly path: string;
  /** `F`: opened when it was registered, so that it works inside of trees. */
  readonly flags: string;
}

/** Which foreign programs this machine runs by itself. */
export const emulationCheck: Check = {
  name: 'emulation',
  run: async (surroundings) => {
    const known = await interpreters();
    const foreign = architectureNames.filter((name) => name !== surroundings.host.architecture);
    return Promise.all(foreign.map((architecture) => examine(architecture, known, surroundings)));
  },
};

/** QEMU's name of an architecture, where it is another. */
const qemuNames: Readonly<Record<string, string>> = {
  'ppc64-le': 'ppc64le',
  'x86-64': 'x86_64',
  arm64: 'aarch64',
  x86: 'i386',
};

async function interpreters(): Promise<ReadonlyMap<string, Interpreter>> {
  const names = (await namesIn(registrations, 'EACCES', 'EPERM')).filter((name) => name.startsWith('qemu-'));
  const found = new Map<string, Interpreter>();
  for (const name of names) {
    try {
      const entry = parseInterpreter(await readFile(join(registrations, name), 'utf8'));
      if (entry !== undefined) found.set(name.slice('qemu-'.length), entry);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'EACCES', 'EPERM')) throw error;
    }
  }
  return found;
}

/** What the kernel tells of an entry; see its admin-guide/binfmt-misc. */
export function parseInterpreter(text: string): Interpreter | undefined {
  const path = /^interpreter (.+)$/m.exec(text)?.[1];
  if (path === undefined) return undefined;
  return { isEnabled: /^enabled$/m.test(text), path, flags: /^flags:\s*(\S*)$/m.exec(text)?.[1] ?? '' };
}

/** A 64-bit machine runs programs of its 32-bit kin without help. */
const kin: Readonly<Record<string, string>> = { 'x86-64': 'x86', arm64: 'arm' };

async function examine(
  architecture: string,
  known: ReadonlyMap<string, Interpreter>,
  { host, signal }: Surroundings,
): Promise<Finding> {
  const name = `binfmt:${architecture}`;
  const entry = known.get(qemuNames[architecture] ?? architecture);
  const fix = installCommand(host, ['qemu-user-binfmt']);
  if (entry?.isEnabled !== true) {
    if (kin[host.architecture] === architecture) return good(name, 'the processor runs its programs');
    return lacking(name, 'no interpreter is registered with binfmt_misc', fix);
  }
  const answer = await outputOf([entry.path, '--version'], signal);
  const version = answer === undefined ? 'it cannot be started' : versionIn(answer.text);
  const summary = `${entry.path}, ${version}`;
  return entry.flags.includes('F')
    ? good(name, summary)
    : lacking(name, `${summary}; registered without F, it does not work inside of trees`, fix);
}
