import { findOnPath } from '../../sandbox/lookup.ts';
import type { Check, Finding, Surroundings } from './check.ts';
import { broken, good, lacking } from './check.ts';
import { outputOf, versionIn } from './output-of.ts';
import { installCommand } from './packages.ts';

interface HostProgram {
  readonly program: string;
  /** Debian's name. */
  readonly package: string;
  readonly versionArgv?: readonly string[];
}

/** What every build starts on the host itself; all else can come from the tools tree. */
const needed: readonly HostProgram[] = [
  { program: 'bwrap', package: 'bubblewrap' },
  { program: 'unshare', package: 'util-linux' },
  { program: 'setpriv', package: 'util-linux' },
  { program: 'mount', package: 'mount' },
  { program: 'tar', package: 'tar' },
  { program: 'xz', package: 'xz-utils' },
  { program: 'zstd', package: 'zstd' },
];

/** What makes the tools tree, and lists what is to be installed, where ToolsTree= names no tree. */
const forTools: readonly HostProgram[] = [
  { program: 'apt-get', package: 'apt' },
  { program: 'dpkg', package: 'dpkg' },
];

/** What some verbs use. */
const useful: readonly (HostProgram & { readonly use: string })[] = [
  { program: 'ssh', package: 'openssh-client', versionArgv: ['-V'], use: '`mkimg ssh`' },
  { program: 'journalctl', package: 'systemd', use: '`mkimg journalctl`' },
  { program: 'systemd-nspawn', package: 'systemd-container', use: '`mkimg shell` and `mkimg boot`' },
];

export const programsCheck: Check = {
  name: 'programs',
  run: async (surroundings) => {
    const { host } = surroundings;
    const mappers: readonly HostProgram[] =
      surroundings.uid === 0 ? [] : [{ program: 'newuidmap', package: 'uidmap', versionArgv: [] }];
    const required = await Promise.all(
      [...needed, ...forTools].map((entry) =>
        examine(entry, surroundings, (name) =>
          broken(name, `${entry.program} is not installed`, installCommand(host, [entry.package])),
        ),
      ),
    );
    const optional = await Promise.all(
      [...mappers.map((entry) => ({ ...entry, use: 'subordinate ids' })), ...useful].map((entry) =>
        examine(entry, surroundings, (name) =>
          lacking(
            name,
            `${entry.program} is not installed; it is for ${entry.use}`,
            installCommand(host, [entry.package]),
          ),
        ),
      ),
    );
    return [nodeVersion(), ...required, ...optional];
  },
};

const oldestNode = [20, 19] as const;

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isNewEnough = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  const summary = `Node ${process.versions.node}`;
  return isNewEnough
    ? good('node', summary)
    : broken('node', `${summary}; mkimg needs ${oldestNode.join('.')} or later`);
}

async function examine(
  { program, versionArgv = ['--version'] }: HostProgram,
  { signal }: Surroundings,
  absent: (name: string) => Finding,
): Promise<Finding> {
  const name = `tool:${program}`;
  const path = await findOnPath(program);
  if (path === undefined) return absent(name);
  if (versionArgv.length === 0) return good(name, path);
  const answer = await outputOf([path, ...versionArgv], signal);
  if (answer === undefined) return broken(name, `${path} cannot be started`);
  return good(name, `${path}, ${versionIn(answer.text)}`);
}
