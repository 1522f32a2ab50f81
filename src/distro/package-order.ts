import { parseRelations } from './relations.ts';
import type { RelationField, ResolvedPackage } from './resolved.ts';

/** Finds who satisfies the dependencies of packages within one solution. */
class Providers {
  readonly #byName = new Map<string, ResolvedPackage[]>();

  constructor(packages: readonly ResolvedPackage[]) {
    for (const entry of packages) this.#add(entry.name, entry);
    // Real packages stand first: they win over those that only provide the name.
    for (const entry of packages) {
      for (const { name } of parseRelations(entry.relations.provides).flat()) this.#add(name, entry);
    }
  }

  /** The packages that the given fields of `entry` lead to: of each group, the first alternative that is there. */
  dependencies(entry: ResolvedPackage, fields: readonly RelationField[]): ResolvedPackage[] {
    const groups = fields.flatMap((field) => parseRelations(entry.relations[field]));
    return groups.flatMap((group) => {
      for (const { name } of group) {
        const found = this.#byName.get(name) ?? [];
        const match = found.find(({ architecture }) => architecture === entry.architecture) ?? found[0];
        if (match !== undefined) return [match];
      }
      return [];
    });
  }

  #add(name: string, entry: ResolvedPackage): void {
    const known = this.#byName.get(name);
    if (known === undefined) this.#byName.set(name, [entry]);
    else known.push(entry);
  }
}

const allDependencies = ['preDepends', 'depends'] as const;

/**
 * Marks the base set: the essential packages and all that they depend on. Maintainer scripts may use these without a
 * dependency, so they are extracted before the first script runs.
 */
export function markBaseSet(packages: readonly ResolvedPackage[]): ResolvedPackage[] {
  const providers = new Providers(packages);
  const essential = packages.filter((entry) => entry.essential);
  const base = closure(essential, (entry) => providers.dependencies(entry, allDependencies));
  return packages.map((entry) => ({ ...entry, base: base.has(entry) }));
}

/** Packages to unpack at once, and those of earlier rounds to configure before that. */
export interface UnpackRound {
  readonly configure: readonly ResolvedPackage[];
  readonly unpack: readonly ResolvedPackage[];
  /** Pre-dependencies cannot be met: a circle leads through them. */
  readonly isForced: boolean;
}

/**
 * Orders an installation by Pre-Depends: a package is unpacked only when those it pre-depends on, and their dependencies,
 * are configured. Packages outside `packages` count as configured. A circle through a pre-dependency, which no order
 * satisfies, is cut where it is met.
 */
export function unpackRounds(packages: readonly ResolvedPackage[]): UnpackRound[] {
  const providers = new Providers(packages);
  const needs = new Map(
    packages.map((entry) => {
      const first = providers.dependencies(entry, ['preDepends']);
      return [entry, closure(first, (other) => providers.dependencies(other, allDependencies))];
    }),
  );
  const rounds: UnpackRound[] = [];
  const unpacked = new Set<ResolvedPackage>();
  const configured = new Set<ResolvedPackage>();
  while (unpacked.size < packages.length) {
    const waiting = packages.filter((entry) => !unpacked.has(entry));
    const ready = waiting.filter((entry) => isSubset(needs.get(entry), unpacked, entry));
    const unpack = ready.length > 0 ? ready : waiting;
    const needed = new Set(unpack.flatMap((entry) => [...(needs.get(entry) ?? [])]));
    const configure = [...needed].filter((entry) => unpacked.has(entry) && !configured.has(entry));
    rounds.push({ configure, unpack, isForced: ready.length === 0 });
    for (const entry of configure) configured.add(entry);
    for (const entry of unpack) unpacked.add(entry);
  }
  return rounds;
}

function isSubset(
  needed: ReadonlySet<ResolvedPackage> | undefined,
  present: ReadonlySet<ResolvedPackage>,
  self: ResolvedPackage,
): boolean {
  return [...(needed ?? [])].every((entry) => entry === self || present.has(entry));
}

function closure(
  start: readonly ResolvedPackage[],
  next: (entry: ResolvedPackage) => readonly ResolvedPackage[],
): Set<ResolvedPackage> {
  const reached = new Set<ResolvedPackage>();
  const pending = [...start];
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    if (reached.has(entry)) continue;
    reached.add(entry);
    pending.push(...next(entry));
  }
  return reached;
}
