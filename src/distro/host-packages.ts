import type { Stanza } from './deb822.ts';
import { parseStanzas, words } from './deb822.ts';
import { stanzaRelations, stanzaSource } from './dpkg-status.ts';
import type { ResolvedPackage } from './resolved.ts';

/** A configuration file of an installed package, as dpkg's database has it. */
export interface HostConffile {
  /** Without the leading slash; bytes as Latin-1. */
  readonly path: string;
  /** Of the content that the package brought. */
  readonly md5: string;
  /** The installed version of the package does not have it any more. */
  readonly isObsolete: boolean;
  /** To be removed by an upgrade, and not part of the package. */
  readonly isRemoved: boolean;
}

/** A package whose files are on a running system. */
export interface HostPackage extends Pick<
  ResolvedPackage,
  'name' | 'version' | 'architecture' | 'multiArch' | 'essential' | 'source' | 'relations'
> {
  /** Last word of Status=: `installed`, `unpacked`, `half-configured` ... */
  readonly state: string;
  readonly recommends?: string;
  readonly conffiles: readonly HostConffile[];
  /** Its control file: the stanza of the database without what dpkg added. Bytes as Latin-1. */
  readonly control: string;
  /** Bytes that its files need, as the package says. */
  readonly installedSize: number;
}

/** States in which all files of the installed version are on the disk. */
const presentStates = ['installed', 'unpacked', 'half-configured', 'triggers-awaited', 'triggers-pending'];

/**
 * Reads dpkg's database: the text of `status`, then those of `updates/` in their order, which say what a running dpkg has
 * changed since. Packages that are removed, or in the middle of it, are not among the result. Text as Latin-1.
 */
export function parseHostPackages(texts: readonly string[]): HostPackage[] {
  const packages = new Map<string, HostPackage | undefined>();
  for (const raw of texts.flatMap(rawStanzas)) {
    const [stanza] = parseStanzas(raw);
    if (stanza === undefined) continue;
    packages.set(
      `${stanza.get('package') ?? ''}:${stanza.get('architecture') ?? ''}`,
      hostPackage(stanza, raw),
    );
  }
  return [...packages.values()].flatMap((entry) => entry ?? []);
}

function rawStanzas(text: string): string[] {
  return text.split(/\n\s*\n/).filter((stanza) => stanza.trim() !== '');
}

function hostPackage(stanza: Stanza, raw: string): HostPackage | undefined {
  const name = stanza.get('package');
  const version = stanza.get('version');
  const state = words(stanza.get('status'))[2] ?? '';
  if (name === undefined || version === undefined || !presentStates.includes(state)) return undefined;
  const multiArch = stanza.get('multi-arch');
  const recommends = stanza.get('recommends');
  return {
    ...{ name, version, state, architecture: stanza.get('architecture') ?? 'all' },
    essential: stanza.get('essential') === 'yes',
    source: stanzaSource(stanza, { name, version }),
    ...(multiArch === undefined ? {} : { multiArch }),
    relations: stanzaRelations(stanza),
    ...(recommends === undefined ? {} : { recommends }),
    conffiles: hostConffiles(stanza.get('conffiles')),
    control: controlText(raw),
    installedSize: Number.parseInt(stanza.get('installed-size') ?? '0', 10) * 1024 || 0,
  };
}

function hostConffiles(field: string | undefined): HostConffile[] {
  return (field ?? '').split('\n').flatMap((line) => {
    const [, path, md5, flags = ''] =
      /^\s*\/(\S.*?) ([0-9a-f]{32}|newconffile)((?: [a-z-]+)*)$/.exec(line) ?? [];
    if (path === undefined || md5 === undefined) return [];
    const marks = words(flags);
    return [
      { path, md5, isObsolete: marks.includes('obsolete'), isRemoved: marks.includes('remove-on-upgrade') },
    ];
  });
}

/** Fields that dpkg adds to those of a package (dpkg(1), lib/dpkg/parse.c). */
const databaseFields = ['status', 'conffiles', 'config-version', 'triggers-pending', 'triggers-awaited'];

function controlText(raw: string): string {
  let isKept = true;
  const lines = raw.split('\n').filter((line) => {
    if (line.trim() === '') return false;
    if (!/^\s/.test(line)) isKept = !databaseFields.includes(line.replace(/:.*$/s, '').toLowerCase());
    return isKept;
  });
  return lines.map((line) => `${line}\n`).join('');
}
