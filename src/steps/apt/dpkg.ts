import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import type { ArchitectureName } from '../../distro/architectures/index.ts';
import { isNative, nativeArchitecture } from '../../distro/architectures/index.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import { sandboxPath } from '../../sandbox/bubblewrap.ts';
import { treeAt } from '../../sandbox/tree.ts';
import type { Mount, RunRequest } from '../../sandbox/types.ts';
import type { BuildContext } from '../implementation.ts';
import { databaseName } from './database.ts';
import { nativePrograms, noPrograms } from './native-programs.ts';

/** Where things stand that only the installation sees; /run is empty and thrown away. */
const inside = { packages: '/run/mkimg/packages', programs: '/run/mkimg/programs' } as const;

export interface DpkgOptions {
  readonly documentation: boolean;
  /** Keep maintainer scripts from building initrds and boot entries. */
  readonly bootable: boolean;
  readonly environment: Readonly<Record<string, string>>;
  /** The tree's. */
  readonly architecture: ArchitectureName;
}

/**
 * Patterns for documentation in the form of dpkg's path filters. The directories of manual pages stay, because
 * update-alternatives puts links into them; copyright files stay, because licences demand it.
 */
const documentationFilters = [
  '--path-exclude=/usr/share/doc/*',
  '--path-include=/usr/share/doc/*/copyright',
  '--path-exclude=/usr/share/man/*/*',
  '--path-exclude=/usr/share/info/*',
  '--path-exclude=/usr/share/groff/*',
  '--path-exclude=/usr/share/gtk-doc/*',
];

/** The same for tar, which unpacks the base set before dpkg does; what is missing then comes with dpkg. */
export const documentationTarExcludes = ['doc', 'man', 'info', 'groff', 'gtk-doc'].map(
  (name) => `--exclude=./usr/share/${name}/*`,
);

/** What is common to all runs of dpkg: nothing is asked, nothing is logged, nothing waits for the disk. */
export function dpkgArgv(options: Pick<DpkgOptions, 'documentation'>, action: readonly string[]): string[] {
  return [
    ...['--log=/dev/null', '--force-unsafe-io', '--force-confdef', '--force-confold'],
    ...(options.documentation ? [] : documentationFilters),
    ...action,
  ];
}

export interface UnpackAction {
  readonly packages: readonly Pick<ResolvedPackage, 'sha256'>[];
  /** Unpack although pre-dependencies are not configured. */
  readonly force: boolean;
}

/** Arguments for dpkg to unpack package files of the pool; triggers wait for the end. */
export function unpackArgv({ packages, force }: UnpackAction): string[] {
  return [
    ...(force ? ['--force-depends'] : []),
    ...['--no-triggers', '--unpack'],
    ...packages.map((entry) => `${inside.packages}/${entry.sha256}.deb`),
  ];
}

/** How dpkg calls a package among those of several architectures. */
export function dpkgName(entry: Pick<ResolvedPackage, 'name' | 'architecture'>): string {
  return entry.architecture === 'all' ? entry.name : `${entry.name}:${entry.architecture}`;
}

/** Environment of maintainer scripts. `native`: a directory with programs that stand in for the tree's. */
export function maintainerEnvironment(
  options: Pick<DpkgOptions, 'environment' | 'bootable'>,
  native?: string,
): Record<string, string> {
  return {
    ...options.environment,
    DEBIAN_FRONTEND: 'noninteractive',
    DEBCONF_NONINTERACTIVE_SEEN: 'true',
    // The programs below stand in for those that would do work which later steps do better.
    PATH: [inside.programs, ...(native === undefined ? [] : [native]), sandboxPath].join(':'),
    SYSTEMD_OFFLINE: '1',
    SYSTEMD_HWDB_UPDATE_BYPASS: '1',
    ...(options.bootable ? { KERNEL_INSTALL_BYPASS: '1', INITRD: 'No' } : {}),
  };
}

/**
 * Runs `preinst install` of packages that are unpacked already, as dpkg would, and follows what they ask of the unpacking of
 * others: arguments are groups of a package's name, its architecture, and its name in the database. For sh.
 */
const preinstScript = `set -e
export DPKG_ROOT= DPKG_ADMINDIR=/var/lib/dpkg DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1
while [ $# -gt 0 ]; do
  export DPKG_MAINTSCRIPT_PACKAGE="$1" DPKG_MAINTSCRIPT_ARCH="$2"
  # dpkg has the control files here meanwhile; debconf reads the name of a question's owner from one of them.
  mkdir /var/lib/dpkg/tmp.ci
  for file in /var/lib/dpkg/info/"$3".*; do
    name="\${file#"/var/lib/dpkg/info/$3."}"
    # The package python3 has no control file 11.list.
    case "$name" in *.* | list) ;; *) ln -s "$file" "/var/lib/dpkg/tmp.ci/$name" ;; esac
  done
  printf 'Package: %s\nArchitecture: %s\n' "$1" "$2" >/var/lib/dpkg/tmp.ci/control
  /var/lib/dpkg/tmp.ci/preinst install || {
    echo "dpkg: error processing package $1 (--unpack):" >&2
    echo " new $1 package pre-installation script subprocess returned error exit status $?" >&2
    exit 1
  }
  rm -r /var/lib/dpkg/tmp.ci
  shift 3
done
cd /var/lib/dpkg
# Files of others that a diversion names would have been unpacked to the other place.
[ ! -s diversions ] || while read -r from && read -r to && read -r by; do
  for list in $(grep -lxF -e "$from" info/*.list); do
    owner="\${list#info/}"
    owner="\${owner%.list}"
    [ "\${owner%%:*}" = "$by" ] || for end in '' .dpkg-new; do
      [ ! -e "$from$end" ] || [ -e "$to$end" ] || mv -- "$from$end" "$to$end"
    done
  done
done <diversions
[ ! -s statoverride ] || while read -r user group mode path; do
  [ ! -e "$path" ] || { chown -- "$user:$group" "$path"; chmod -- "$mode" "$path"; }
done <statoverride`;

/** Programs that do nothing while packages are set up. depmod alone takes longer than a small system's packages. */
function idlePrograms(options: DpkgOptions): string[] {
  return options.bootable ? ['depmod', 'update-initramfs'] : [];
}

/** Runs the tree's own dpkg inside the tree, where maintainer scripts find the system that they expect. */
export class Dpkg {
  readonly #root: HostPath;
  readonly #options: DpkgOptions;
  readonly #context: BuildContext;
  readonly #names = new Map<string, string>();
  #packages: HostPath;
  #native = noPrograms;

  constructor(root: HostPath, options: DpkgOptions, context: BuildContext) {
    this.#root = root;
    this.#options = options;
    this.#context = context;
    this.#packages = context.packagePool;
  }

  /** Takes package files from this directory instead of the pool. */
  readFrom(packages: HostPath): void {
    this.#packages = packages;
  }

  /** Writes the programs that are mounted over the tree while dpkg runs. `isUnpacked`: it will not unpack anything. */
  async prepare({ isUnpacked = false } = {}): Promise<void> {
    const programs = this.#programs();
    await mkdir(programs, { recursive: true });
    await writeProgram(join(programs, 'policy-rc.d'), '#!/bin/sh\nexit 101\n');
    for (const name of idlePrograms(this.#options))
      await writeProgram(join(programs, name), '#!/bin/sh\nexit 0\n');
    if (isNative(this.#options.architecture, nativeArchitecture())) return;
    const { work, sandbox } = this.#context;
    const tree = treeAt(this.#root);
    this.#native = await nativePrograms({ tree, tools: sandbox.tools, work, isUnpacked });
  }

  async unpack(packages: readonly ResolvedPackage[], force: boolean): Promise<void> {
    for (const entry of packages) this.#names.set(entry.sha256, entry.name);
    await this.#run(unpackArgv({ packages, force }), 'unpacking packages');
  }

  /** Runs the preinst scripts of unpacked packages in this order. `version` is dpkg's own. */
  async runPreinst(packages: readonly ResolvedPackage[], version: string): Promise<void> {
    if (packages.length === 0) return;
    const groups = packages.flatMap((entry) => [entry.name, entry.architecture, databaseName(entry)]);
    await this.#runInTree({
      tool: 'sh',
      argv: ['-c', preinstScript, 'sh', ...groups],
      env: { DPKG_RUNNING_VERSION: version },
      purpose: 'preparing packages',
    });
  }

  async configure(packages: readonly ResolvedPackage[], force: boolean): Promise<void> {
    if (packages.length === 0) return;
    const options = [...(force ? ['--force-depends'] : []), '--no-triggers'];
    await this.#run([...options, '--configure', ...packages.map(dpkgName)], 'setting up packages');
  }

  /** Configures all that is unpacked; `triggers` says whether to run what it left for later, too. */
  async configurePending({ force, triggers }: { force: boolean; triggers: boolean }): Promise<void> {
    const options = [...(force ? ['--force-depends'] : []), ...(triggers ? [] : ['--no-triggers'])];
    await this.#run([...options, '--configure', '--pending'], 'setting up packages');
  }

  /** Removes packages with their configuration, essential ones too; dpkg refuses when others depend on them. */
  async purge(names: readonly string[]): Promise<void> {
    const force = ['--force-remove-essential', '--force-remove-protected'];
    await this.#run([...force, '--purge', '--', ...names], 'removing packages');
  }

  #run(action: readonly string[], purpose: string): Promise<void> {
    return this.#runInTree({ tool: 'dpkg', argv: dpkgArgv(this.#options, action), purpose });
  }

  async #runInTree({ env, ...request }: RunRequest): Promise<void> {
    const programs = this.#programs();
    const mounts: Mount[] = [
      { source: this.#packages, target: inside.packages, mode: 'ro' },
      { source: programs, target: inside.programs, mode: 'ro' },
      // invoke-rc.d and deb-systemd-invoke look for it here only; it keeps them from starting services.
      { source: hostPath(join(programs, 'policy-rc.d')), target: '/usr/sbin/policy-rc.d', mode: 'ro' },
      ...this.#native.mounts,
    ];
    try {
      await this.#context.sandbox.run({
        ...request,
        root: this.#root,
        mounts,
        symlinks: this.#native.symlinks,
        env: { ...maintainerEnvironment(this.#options, this.#native.path), ...env },
      });
    } catch (error) {
      throw explainDpkgFailure(error, { names: this.#names, origin: this.#context.origin });
    }
  }

  #programs(): HostPath {
    return hostPath(join(this.#context.work, 'dpkg-programs'));
  }
}

async function writeProgram(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o755);
}

interface DpkgFailure {
  /** Names of package files by their SHA-256. */
  readonly names: ReadonlyMap<string, string>;
  readonly origin: MkimgError['origin'];
}

/** Names the package that dpkg failed at and what it failed to do; the error itself when dpkg says nothing of a package. */
export function explainDpkgFailure(error: unknown, { names, origin }: DpkgFailure): unknown {
  if (!(error instanceof MkimgError) || error.code !== 'tool-failed') return error;
  const tail = error.tail.map((line) =>
    line.replace(/\S*?([0-9a-f]{64})\.deb/, (file, sha: string) => names.get(sha) ?? file),
  );
  const index = tail.findIndex((line) => /^dpkg: error processing (package|archive) /.test(line));
  const [, name = '', action = ''] = /processing \w+ (\S+) \(([^)]*)\)/.exec(tail[index] ?? '') ?? [];
  if (name === '') return error;
  const reason = (tail[index + 1] ?? '').trim();
  return new MkimgError('package-failed', `The package ${name} failed (dpkg ${action}): ${reason}`, {
    hint: "The lines above dpkg's message are what its maintainer script wrote.",
    tail,
    cause: error,
    ...(error.reenter === undefined ? {} : { reenter: error.reenter }),
    ...(origin === undefined ? {} : { origin }),
  });
}
