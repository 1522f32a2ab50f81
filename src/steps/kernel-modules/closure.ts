import type { KernelModule } from '../../formats/kmod.ts';
import { moduleName } from '../../formats/kmod.ts';
import type { HiddenDependency } from './hidden-dependencies.ts';
import { hiddenDependencies } from './hidden-dependencies.ts';

/** What depmod says about the modules of one kernel, read from usr/lib/modules/VERSION. */
export interface ModuleIndexes {
  readonly modules: ReadonlyMap<string, KernelModule>;
  readonly softdeps: ReadonlyMap<string, readonly string[]>;
  readonly weakdeps: ReadonlyMap<string, readonly string[]>;
  /** Names of the modules that claim an alias. */
  namesByAlias(alias: string): readonly string[];
}

/** Why a module is there. */
export type ModuleReason =
  | { readonly kind: 'pattern'; readonly pattern: string; readonly profile?: string }
  | { readonly kind: 'dependency' | 'softdep' | 'weakdep'; readonly of: string }
  /** Needed without a word of it in the module; from a table. */
  | { readonly kind: 'hidden'; readonly of: string; readonly because: string }
  /** A device of the host, by a path below /sys. */
  | { readonly kind: 'modalias'; readonly modalias: string; readonly device: string }
  | { readonly kind: 'driver'; readonly device: string }
  | { readonly kind: 'supplier'; readonly of: string; readonly device: string }
  /** A file system or block device of the host. */
  | { readonly kind: 'storage'; readonly what: string }
  | { readonly kind: 'loaded' }
  /** Not needed here and now, but when the disk moves to a similar machine. */
  | { readonly kind: 'survives'; readonly what: string };

export interface SelectedModule {
  readonly module: KernelModule;
  /** At least one; the first one is the most telling. */
  readonly reasons: readonly ModuleReason[];
}

/**
 * Adds what modules need: hard, soft, weak and hidden dependencies. The result is sorted by path; modules that were
 * given several times are there once with all reasons.
 */
export function withDependencies(
  seeds: readonly SelectedModule[],
  indexes: ModuleIndexes,
): readonly SelectedModule[] {
  const selected = new Map<string, SelectedModule>();
  for (const { module, reasons } of seeds) {
    const known = selected.get(module.name)?.reasons ?? [];
    selected.set(module.name, { module, reasons: [...known, ...reasons] });
  }
  const queue = [...selected.values()];
  // Breadth first, in a fixed order, so that each module's reason is always the same one. The loop also visits what it appends.
  for (const { module } of queue) {
    for (const needed of neededBy(module, indexes)) {
      if (selected.has(needed.module.name)) continue;
      selected.set(needed.module.name, needed);
      queue.push(needed);
    }
  }
  return [...selected.values()].sort((a, b) => (a.module.path < b.module.path ? -1 : 1));
}

function neededBy(module: KernelModule, indexes: ModuleIndexes): readonly SelectedModule[] {
  const { name } = module;
  const relations = [
    ['dependency', module.dependencies],
    ['softdep', indexes.softdeps.get(name) ?? []],
    ['weakdep', indexes.weakdeps.get(name) ?? []],
  ] as const;
  const declared = relations.flatMap(([kind, words]) =>
    words
      .flatMap((word) => modulesNamed(word, indexes))
      .map((needed) => ({ module: needed, reasons: [{ kind, of: name }] })),
  );
  const hidden = (hiddenOf.get(name) ?? []).flatMap(({ needs, because }) =>
    needs
      .flatMap((word) => modulesNamed(word, indexes))
      .filter((needed) => !needed.path.includes(cipherHardware))
      .map((needed) => ({ module: needed, reasons: [{ kind: 'hidden' as const, of: name, because }] })),
  );
  return [...declared, ...hidden];
}

/**
 * Chips that compute ciphers claim the same aliases as the software that every machine has. The kernel would try the drivers of
 * them all, each time that it looks for a cipher.
 */
const cipherHardware = '/drivers/crypto/';

const hiddenOf: ReadonlyMap<string, readonly HiddenDependency[]> = byModule(hiddenDependencies);

function byModule(list: readonly HiddenDependency[]): ReadonlyMap<string, readonly HiddenDependency[]> {
  const table = new Map<string, HiddenDependency[]>();
  for (const dependency of list)
    for (const word of dependency.of) {
      const name = moduleName(word);
      table.set(name, [...(table.get(name) ?? []), dependency]);
    }
  return table;
}

/** A word of a dependency is a module's name or an alias; neither exists for what is built into the kernel. */
export function modulesNamed(word: string, indexes: ModuleIndexes): readonly KernelModule[] {
  const named = indexes.modules.get(moduleName(word));
  if (named !== undefined) return [named];
  return indexes.namesByAlias(word).flatMap((name) => indexes.modules.get(moduleName(name)) ?? []);
}

/** One line for people. */
export function reasonText(reason: ModuleReason): string {
  switch (reason.kind) {
    case 'pattern':
      return patternText(reason);
    case 'dependency':
    case 'softdep':
    case 'weakdep':
      return `${reason.kind} of ${reason.of}`;
    case 'hidden':
      return `hidden dependency of ${reason.of}: ${reason.because}`;
    case 'modalias':
      return `modalias ${shortened(reason.modalias)} of ${reason.device}`;
    case 'driver':
      return `driver of ${reason.device}`;
    case 'supplier':
      return `driver of ${reason.device}, which ${reason.of} needs`;
    case 'storage':
      return reason.what;
    case 'loaded':
      return 'loaded on this machine';
    case 'survives':
      return `survives a move: ${reason.what}`;
  }
}

function patternText({ pattern, profile }: Extract<ModuleReason, { readonly kind: 'pattern' }>): string {
  return profile === undefined ? `pattern ${pattern}` : `pattern ${pattern} of profile ${profile}`;
}

/** Aliases of processors list some hundred features. */
function shortened(modalias: string): string {
  return modalias.length <= 64 ? modalias : `${modalias.slice(0, 60)}...`;
}
