import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { Member } from './unpacked.ts';

/*
 * dpkg's database (/var/lib/dpkg) as it is after unpacking packages in an empty tree. What dpkg makes of it when it sets
 * the packages up is then the same as if it had unpacked them itself; test/integration/apt.test.ts compares the two.
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

/** Paths of configuration files, without the leading slash; undefined where there are others than plain ones. */
export function parseConffiles(text: string): readonly string[] | undefined {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const paths = lines.filter((line) => line !== '');
  // `remove-on-upgrade PATH` names a file that the package does not have any more.
  return paths.every((path) => path.startsWith('/')) ? paths.map((path) => path.slice(1)) : undefined;
}

/** The content of `status`. dpkg itself brings the fields into its order. */
export function unpackedStatus(packages: readonly PackageRecord[]): string {
  return packages
    .map(({ control, conffiles }) => {
      const listed = (parseConffiles(conffiles) ?? []).map((path) => ` /${path} newconffile\n`).join('');
      const fields = control.trimEnd().replace(/\n+/g, '\n');
      return `${fields}\nStatus: install ok unpacked\n${listed === '' ? '' : `Conffiles:\n${listed}`}\n`;
    })
    .join('');
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
