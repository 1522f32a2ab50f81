import { MkimgError } from '../../base/errors.ts';
import type { KernelModule } from '../../formats/kmod.ts';
import type { ModuleIndexes, SelectedModule } from './closure.ts';
import { withDependencies } from './closure.ts';
import { genericModules } from './generic.ts';
import type { MatchedPath, ModulePattern } from './patterns.ts';
import { matchedPath, modulePattern } from './patterns.ts';

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
  const onlyExcludes = patterns.every((pattern) => pattern.startsWith('-'));
  const expanded = modulePatterns([...(onlyExcludes ? ['default'] : []), ...patterns]);
  return withDependencies(matchingModules(expanded, indexes.modules.values()), indexes);
}

/**
 * The patterns behind words; `default` stands for those of a generic initrd.
 * @throws MkimgError `unsupported-module-pattern` for `host` and `re:`.
 */
export function modulePatterns(words: readonly string[]): readonly ModulePattern[] {
  return words
    .flatMap((word) => (word === 'default' ? genericModules : [word]))
    .map((word) => {
      if (word !== 'host' && !word.startsWith('re:')) return modulePattern(word);
      throw new MkimgError('unsupported-module-pattern', `kernel module pattern '${word}' is not supported`, {
        class: 'usage',
        hint: 'Name modules by globs such as nvme, drivers/ata/ or -nouveau; `default` is the generic set.',
      });
    });
}

/** The modules for which the last pattern that matches includes them. */
export function matchingModules(
  patterns: readonly ModulePattern[],
  modules: Iterable<KernelModule>,
): readonly SelectedModule[] {
  return [...modules].flatMap((module) => {
    const decisive = lastMatch(patterns, matchedPath(module.path));
    if (decisive === undefined || decisive.exclude) return [];
    return [{ module, reasons: [{ kind: 'pattern' as const, pattern: decisive.text }] }];
  });
}

export function lastMatch(patterns: readonly ModulePattern[], path: MatchedPath): ModulePattern | undefined {
  for (let index = patterns.length - 1; index >= 0; index--) {
    const pattern = patterns[index];
    if (pattern?.matches(path) === true) return pattern;
  }
  return undefined;
}
