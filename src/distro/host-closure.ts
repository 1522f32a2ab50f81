import { byBytes } from '../base/canonical.ts';
import { satisfiesVersion } from './debian-version.ts';
import type { VersionedAlternative } from './relations.ts';
import { parseVersionedRelations } from './relations.ts';
import type { ResolvedPackage } from './resolved.ts';

/** What a choice among installed packages looks at. */
export interface Installed extends Pick<
  ResolvedPackage,
  'name' | 'version' | 'architecture' | 'multiArch' | 'essential' | 'relations'
> {
  readonly recommends?: string;
}

export interface ClosureRequest {
  /** Entries of Packages=, as apt-get install reads them. */
  readonly items: readonly string[];
  /** Debian's name of the system's architecture. */
  readonly native: string;
  readonly recommends: boolean;
}

/** A dependency that nothing installed satisfies. */
export interface UnmetRelation<T> {
  readonly of: T;
  /** The alternatives, as the package names them. */
  readonly names: readonly string[];
}

/** The packages that a request comes to among those that are installed. */
export interface Closure<T> {
  readonly packages: readonly T[];
  /** Entries of the request that nothing installed satisfies. */
  readonly missing: readonly string[];
  readonly unmet: readonly UnmetRelation<T>[];
}

/**
 * The essential packages, those that a request names, and all that they depend on, taken from what is installed: of each
 * group of alternatives the first that is there. Pure.
 */
export function installedClosure<T extends Installed>(
  packages: readonly T[],
  { items, native, recommends }: ClosureRequest,
): Closure<T> {
  const system = new InstalledSystem(packages, native);
  const named = items.map((item) => ({ item, found: system.named(item) }));
  const pending = [
    ...packages.filter(({ essential }) => essential),
    ...named.flatMap(({ found }) => found ?? []),
  ];
  const chosen = new Set<T>();
  const unmet: UnmetRelation<T>[] = [];
  for (let entry = pending.shift(); entry !== undefined; entry = pending.shift()) {
    if (chosen.has(entry)) continue;
    chosen.add(entry);
    const { relations } = entry;
    for (const group of [relations.preDepends, relations.depends].flatMap(parseVersionedRelations)) {
      const found = system.satisfying(group, { of: entry, chosen });
      if (found === undefined) unmet.push({ of: entry, names: group.map(({ name }) => name) });
      else pending.push(found);
    }
    for (const group of recommends ? parseVersionedRelations(entry.recommends) : []) {
      pending.push(...[system.satisfying(group, { of: entry, chosen })].flatMap((found) => found ?? []));
    }
  }
  return {
    packages: [...chosen],
    missing: named.filter(({ found }) => found === undefined).map(({ item }) => item),
    unmet,
  };
}

/** What remains of installed packages without those whose dependencies are not met, and those that need these. */
export function consistentPackages<T extends Installed>(
  packages: readonly T[],
  native: string,
): readonly T[] {
  let rest = packages;
  for (;;) {
    const system = new InstalledSystem(rest, native);
    const kept = rest.filter((of) =>
      [of.relations.preDepends, of.relations.depends]
        .flatMap(parseVersionedRelations)
        .every((group) => system.satisfying(group, { of, chosen: new Set() }) !== undefined),
    );
    if (kept.length === rest.length) return kept;
    rest = kept;
  }
}

interface Provider<T> {
  readonly entry: T;
  /** The version that it provides; absent for a name without one, which satisfies no relation that asks for a version. */
  readonly version?: string;
}

class InstalledSystem<T extends Installed> {
  readonly #real = new Map<string, T[]>();
  readonly #provided = new Map<string, Provider<T>[]>();
  readonly #native: string;

  constructor(packages: readonly T[], native: string) {
    this.#native = native;
    for (const entry of packages) {
      append(this.#real, entry.name, entry);
      for (const { name, version } of parseVersionedRelations(entry.relations.provides).flat()) {
        append(this.#provided, name, {
          entry,
          ...(version === undefined ? {} : { version: version.wanted }),
        });
      }
    }
  }

  /** The packages that an entry of a request means; undefined when it takes a repository to tell. */
  named(item: string): readonly T[] | undefined {
    const [, name = '', architecture, version] =
      /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?(?:=(\S+))?$/.exec(item) ?? [];
    const exact = this.#ofArchitecture(name, architecture).filter(
      (entry) => version === undefined || satisfiesVersion(entry.version, '=', version),
    );
    if (exact.length > 0) return exact.slice(0, 1);
    const provider = version === undefined ? this.#provider(name) : undefined;
    if (provider !== undefined) return [provider];
    // `name-` asks for a package not to be there, which on top of nothing holds as long as nobody needs it.
    if (/^[a-z0-9][a-z0-9+.-]+-$/.test(item)) return [];
    const pattern = namePattern(item);
    if (pattern === undefined) return undefined;
    const names = [...this.#real.keys()].filter((candidate) => pattern.test(candidate)).sort(byBytes);
    const found = names.flatMap((candidate) => this.#ofArchitecture(candidate, undefined).slice(0, 1));
    return found.length > 0 ? found : undefined;
  }

  /** Of the first alternative that is there: a package of this name, else one that provides it, chosen ones first. */
  satisfying(
    group: readonly VersionedAlternative[],
    { of, chosen }: { readonly of: T; readonly chosen: ReadonlySet<T> },
  ): T | undefined {
    for (const alternative of group) {
      const candidates = this.#candidates(alternative, of);
      const found = candidates.find((entry) => chosen.has(entry)) ?? candidates[0];
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #candidates({ name, qualifier, version }: VersionedAlternative, of: T): T[] {
    const fits = (candidate: string | undefined): boolean =>
      version === undefined ||
      (candidate !== undefined && satisfiesVersion(candidate, version.operator, version.wanted));
    const wanted = of.architecture === 'all' ? this.#native : of.architecture;
    const real = (this.#real.get(name) ?? []).filter(
      (entry) => fits(entry.version) && this.#serves(entry, wanted, qualifier),
    );
    const provided = (this.#provided.get(name) ?? [])
      .filter((provider) => fits(provider.version) && this.#serves(provider.entry, wanted, qualifier))
      .map(({ entry }) => entry);
    const own = (entry: T): boolean => this.#architectureOf(entry) === wanted;
    const inOrder = (entries: T[]): T[] => [
      ...entries.filter(own),
      ...entries.filter((entry) => !own(entry)),
    ];
    return [...inOrder(real), ...inOrder(provided.sort((left, right) => byBytes(left.name, right.name)))];
  }

  /** Whether a package may satisfy a relation of a package of the architecture `wanted` (Multi-Arch). */
  #serves(entry: T, wanted: string, qualifier: string | undefined): boolean {
    const architecture = this.#architectureOf(entry);
    switch (qualifier) {
      case undefined:
        return architecture === wanted || entry.multiArch === 'foreign';
      case 'any':
        return architecture === wanted || entry.multiArch === 'allowed' || entry.multiArch === 'foreign';
      case 'native':
        return architecture === this.#native;
      default:
        return architecture === qualifier;
    }
  }

  #architectureOf({ architecture }: T): string {
    return architecture === 'all' ? this.#native : architecture;
  }

  #ofArchitecture(name: string, architecture: string | undefined): T[] {
    const wanted = architecture ?? this.#native;
    const found = this.#real.get(name) ?? [];
    return found.filter((entry) => this.#architectureOf(entry) === wanted);
  }

  /** Like apt, only where one package alone provides a name that no package has. */
  #provider(name: string): T | undefined {
    const [only, ...others] = (this.#provided.get(name) ?? []).map(({ entry }) => entry);
    return others.some((entry) => entry !== only) ? undefined : only;
  }
}

/** Like apt since 2.0: shell wildcards, or a regular expression that says where it begins or ends. */
function namePattern(item: string): RegExp | undefined {
  if (/^[?~]/.test(item)) return undefined;
  if (item.startsWith('^') || item.endsWith('$')) return regularExpression(item);
  if (!/[*?[]/.test(item)) return undefined;
  const wildcards: Readonly<Record<string, string>> = { '*': '.*', '?': '.', '[': '[', ']': ']' };
  const parts = item
    .split(/([*?[\]])/)
    .map((part) => wildcards[part] ?? part.replace(/[.+^$|(){}\\]/g, '\\$&'));
  return regularExpression(`^${parts.join('').replaceAll('[!', '[^')}$`);
}

function regularExpression(text: string): RegExp | undefined {
  try {
    return new RegExp(text, 'i');
  } catch {
    // Not one for JavaScript either: apt may know.
    return undefined;
  }
}

function append<V>(map: Map<string, V[]>, key: string, value: V): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}
