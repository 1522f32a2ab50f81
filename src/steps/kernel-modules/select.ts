import { MkimgError } from '../../base/errors.ts';
import type { KernelModule } from '../../formats/kmod.ts';
import { moduleName } from '../../formats/kmod.ts';
import type { MatchedPath, ModulePattern } from './patterns.ts';
import { matchedPath, modulePattern } from './patterns.ts';
import { genericModules } from './generic.ts';

/** What depmod says about the modules of one kernel, read from usr/lib/modules/VERSION. */
export interface ModuleIndexes {
  readonly modules: ReadonlyMap<string, KernelModule>;
  readonly softdeps: ReadonlyMap<string, readonly string[]>;
  readonly weakdeps: ReadonlyMap<string, readonly string[]>;
  /** Aliases without wildcards, with `_` for `-`. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
}

/** Why a module is there. */
export type ModuleReason =
  | { readonly kind: 'pattern'; readonly pattern: string }
  | { readonly kind: 'dependency' | 'softdep' | 'weakdep'; readonly of: string };

export interface SelectedModule {
  readonly module: KernelModule;
  readonly reason: ModuleReason;
}

/**
 * Selects modules by an ordered list of patterns, of which the last that matches decides, and adds what the selected ones
 * need: hard, soft and weak dependencies, whatever the patterns say about those. The word `default` stands for the modules
 * of a generic initrd; it is also what a list that only excludes, or is empty, starts from: an initrd without any module
 * finds no root file system. The result is sorted by path.
 * @throws MkimgError `unsupported-module-pattern` for `host` and `re:`, which this selection does not know.
 */
export function selectModules(
  patterns: readonly string[],
  indexes: ModuleIndexes,
): readonly SelectedModule[] {
  const expanded = expandPatterns(patterns);
  const selected = new Map<string, SelectedModule>();
  for (const module of indexes.modules.values()) {
    const decisive = lastMatch(expanded, matchedPath(module.path));
    if (decisive === undefined || decisive.exclude) continue;
    selected.set(module.name, { module, reason: { kind: 'pattern', pattern: decisive.text } });
  }
  addDependencies(selected, indexes);
  return [...selected.values()].sort((a, b) => (a.module.path < b.module.path ? -1 : 1));
}

function expandPatterns(patterns: readonly string[]): readonly ModulePattern[] {
  const onlyExcludes = patterns.every((pattern) => pattern.startsWith('-'));
  return [...(onlyExcludes ? ['default'] : []), ...patterns]
    .flatMap((pattern) => (pattern === 'default' ? genericModules : [pattern]))
    .map((pattern) => {
      if (pattern !== 'host' && !pattern.startsWith('re:')) return modulePattern(pattern);
      throw new MkimgError(
        'unsupported-module-pattern',
        `kernel module pattern '${pattern}' is not supported`,
        {
          class: 'usage',
          hint: 'Name modules by globs such as nvme, drivers/ata/ or -nouveau; `default` is the generic set.',
        },
      );
    });
}

function lastMatch(patterns: readonly ModulePattern[], path: MatchedPath): ModulePattern | undefined {
  for (let index = patterns.length - 1; index >= 0; index--) {
    const pattern = patterns[index];
    if (pattern?.matches(path) === true) return pattern;
  }
  return undefined;
}

/** Breadth first, in the order of modules.dep, so that each module's reason is always the same one. */
function addDependencies(selected: Map<string, SelectedModule>, indexes: ModuleIndexes): void {
  const queue = [...selected.values()];
  // The loop also visits what it appends.
  for (const { module } of queue) {
    for (const needed of neededBy(module, indexes)) {
      if (selected.has(needed.module.name)) continue;
      selected.set(needed.module.name, needed);
      queue.push(needed);
    }
  }
}

function neededBy(module: KernelModule, indexes: ModuleIndexes): readonly SelectedModule[] {
  const relations = [
    ['dependency', module.dependencies],
    ['softdep', indexes.softdeps.get(module.name) ?? []],
    ['weakdep', indexes.weakdeps.get(module.name) ?? []],
  ] as const;
  return relations.flatMap(([kind, words]) =>
    words
      .flatMap((word) => modulesNamed(word, indexes))
      .map((needed) => ({ module: needed, reason: { kind, of: module.name } })),
  );
}

/** A word of a dependency is a module's name or an alias; neither exists for what is built into the kernel. */
function modulesNamed(word: string, { modules, aliases }: ModuleIndexes): readonly KernelModule[] {
  const named = modules.get(moduleName(word));
  if (named !== undefined) return [named];
  return (aliases.get(word.replaceAll('-', '_')) ?? []).flatMap((name) => modules.get(name) ?? []);
}
