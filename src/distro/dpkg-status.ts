import type { Stanza } from './deb822.ts';
import { formatStanzas, parseStanzas, words } from './deb822.ts';
import type { RelationField, ResolvedPackage } from './resolved.ts';
import { relationFields } from './resolved.ts';

/** One entry of dpkg's database (var/lib/dpkg/status) whose files are in the tree. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Last word of Status=: `installed`, `unpacked`, `half-configured` ... */
  readonly state: string;
  /** Bytes that its files need, as the package says; 0 where it says nothing. */
  readonly size: number;
}

/** Reads dpkg's status file. Packages of which at most configuration files are left are not among the result. */
export function parseDpkgStatus(text: string): InstalledPackage[] {
  return parseStanzas(text).flatMap((stanza) => {
    const name = stanza.get('package');
    const state = words(stanza.get('status'))[2];
    if (name === undefined || state === undefined) return [];
    if (state === 'not-installed' || state === 'config-files') return [];
    return [
      {
        name,
        version: stanza.get('version') ?? '',
        architecture: stanza.get('architecture') ?? '',
        state,
        size: Number.parseInt(stanza.get('installed-size') ?? '0', 10) * 1024 || 0,
      },
    ];
  });
}

const fieldNames: Readonly<Record<RelationField, string>> = {
  preDepends: 'Pre-Depends',
  depends: 'Depends',
  provides: 'Provides',
  conflicts: 'Conflicts',
  breaks: 'Breaks',
  replaces: 'Replaces',
};

/** The relation fields of a package's stanza. */
export function stanzaRelations(stanza: Stanza): Partial<Record<RelationField, string>> {
  const relations: Partial<Record<RelationField, string>> = {};
  for (const field of relationFields) {
    const text = stanza.get(fieldNames[field].toLowerCase());
    if (text !== undefined) relations[field] = text.replace(/\s*\n\s*/g, ' ');
  }
  return relations;
}

/** The source that a package's stanza names; where it names none, the package itself. */
export function stanzaSource(
  stanza: Stanza,
  itself: { readonly name: string; readonly version: string },
): ResolvedPackage['source'] {
  const [, name, version] = /^(\S+)(?:\s+\((\S+)\))?/.exec(stanza.get('source') ?? itself.name) ?? [];
  return { name: name ?? itself.name, version: version ?? itself.version };
}

/** A status file in which the given packages are installed, for a solver that has to work on top of them. */
export function formatDpkgStatus(
  packages: readonly Pick<
    ResolvedPackage,
    'name' | 'version' | 'architecture' | 'essential' | 'multiArch' | 'relations'
  >[],
): string {
  return formatStanzas(
    packages.map((entry) => [
      ['Package', entry.name],
      ['Status', 'install ok installed'],
      ['Version', entry.version],
      ['Architecture', entry.architecture],
      ['Maintainer', 'unknown'],
      ...(entry.essential ? [['Essential', 'yes'] as const] : []),
      ...(entry.multiArch === undefined ? [] : [['Multi-Arch', entry.multiArch] as const]),
      ...relationFields.flatMap((field) => {
        const text = entry.relations[field];
        return text === undefined ? [] : [[fieldNames[field], text] as const];
      }),
      ['Description', entry.name],
    ]),
  );
}
