import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { Member } from './unpacked.ts';

/*
 * dpkg's database (/var/lib/dpkg) as it is after unpacking packages in an empty tree, or in one where others are set up. What
 * dpkg makes of it when it sets the packages up is then the same as if it had unpacked them itself;
 * test/integration/unpacking.test.ts compares the two.
 */

/** What the database holds of one package. */
export interface PackageRecord {
  readonly entry: Pick<ResolvedPackage, 'name' | 'architecture' | 'multiArch'>;
  readonly members: readonly Pick<Member, 'path'>[];
  /** Content of the control file `control`. */
  readonly control: string;
  /** Content of `conffiles`; empty when there is none. */
  readonly conffiles: string;
  /** Content of `triggers`; empty when there is none. */
  readonly triggers: string;
}

/** How dpkg calls a package in names of files and in lists of triggers. */
export function databaseName(entry: PackageRecord['entry']): string {
  return entry.multiArch === 'same' ? `${entry.name}:${entry.architecture}` : entry.name;
}

/** A line of `conffiles`. */
export interface Conffile {
  /** Without the leading slash. */
  readonly path: string;
  /** The package does not have the file any more; an upgrade removes it. */
  readonly isRemoved: boolean;
}

/** The lines of `conffiles`; undefined where one has a flag that is not known here. */
export function parseConffiles(text: string): readonly Conffile[] | undefined {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const files: Conffile[] = [];
  for (const line of lines.filter((entry) => entry !== '')) {
    const [, flag, path = ''] = /^(?:(\S+) )?\/(.+)$/.exec(line) ?? [];
    if (path === '' || (flag !== undefined && flag !== 'remove-on-upgrade')) return undefined;
    files.push({ path, isRemoved: flag !== undefined });
  }
  return files;
}

/** The content of `status`. dpkg itself brings the fields into its order. */
export function unpackedStatus(packages: readonly PackageRecord[]): string {
  return packages
    .map(({ control, conffiles }) => {
      const listed = (parseConffiles(conffiles) ?? []).map(conffileLine).join('');
      const fields = control.trimEnd().replace(/\n+/g, '\n');
      return `${fields}\nStatus: install ok unpacked\n${listed === '' ? '' : `Conffiles:\n${listed}`}\n`;
    })
    .join('');
}

function conffileLine({ path, isRemoved }: Conffile): string {
  return ` /${path} newconffile${isRemoved ? ' remove-on-upgrade' : ''}\n`;
}

/** The content of `info/NAME.list`; bytes as Latin-1. */
export function fileList({ members }: Pick<PackageRecord, 'members'>): string {
  return members.map(({ path }) => `/${path === '' ? '.' : path}\n`).join('');
}

/** Files of `triggers/`: which packages want to be told of what. */
export function triggerInterests(packages: readonly PackageRecord[]): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const add = (name: string, line: string): void => {
    files.set(name, `${files.get(name) ?? ''}${line}\n`);
  };
  for (const { entry, triggers } of packages) {
    for (const line of triggers.split('\n')) {
      const [directive = '', name = ''] = line.replace(/#.*/, '').trim().split(/\s+/);
      if (!/^interest(-await|-noawait)?$/.test(directive)) continue;
      const who = `${databaseName(entry)}${directive === 'interest-noawait' ? '/noawait' : ''}`;
      if (name.startsWith('/')) add('File', `${name} ${who}`);
      else if (/^[^/]+$/.test(name)) add(name, who);
    }
  }
  return files;
}

/** Lines of `triggers/File`: a path, and who wants to be told of files at or below it. */
function fileInterests(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => /^(\/\S*) \S+$/.exec(line)?.[1] ?? []);
}

/**
 * The content of `triggers/Unincorp` after unpacking packages where others are set up that want to be told of their files:
 * each trigger with the packages that wait for it (deb-triggers(5), dpkg's lib/dpkg/triglib.c).
 * @param interests content of `triggers/File`
 * @param pending content of `triggers/Unincorp` before
 */
export function activatedTriggers(
  packages: readonly PackageRecord[],
  { interests, pending }: { readonly interests: string; readonly pending: string },
): string {
  const activated = new Map(
    pending.split('\n').flatMap((line): [string, Set<string>][] => {
      const [name = '', ...awaiters] = line.split(' ');
      return name === '' ? [] : [[name, new Set(awaiters)]];
    }),
  );
  for (const path of fileInterests(interests)) {
    for (const { entry, members } of packages) {
      if (!members.some((member) => isAtOrBelow(`/${member.path}`, path))) continue;
      const awaiters = activated.get(path) ?? new Set();
      activated.set(path, awaiters.add(databaseName(entry)));
    }
  }
  return [...activated].map(([name, awaiters]) => `${[name, ...awaiters].join(' ')}\n`).join('');
}

function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** Paths, without the leading slash, that `diversions` and `statoverride` speak of. */
export function claimedPaths(diversions: string, overrides: string): ReadonlySet<string> {
  const diverted = diversions.split('\n').filter((_, index) => index % 3 < 2);
  const overridden = overrides.split('\n').map((line) => line.replace(/^(\S+ ){3}/, ''));
  return new Set([...diverted, ...overridden].map((path) => path.replace(/^\//, '')).filter(Boolean));
}
