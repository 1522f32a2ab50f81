import type { KernelModule } from '../../formats/kmod.ts';
import { moduleName } from '../../formats/kmod.ts';
import type { ModuleReason, SelectedModule } from '../../steps/kernel-modules/closure.ts';
import type { ModulePattern } from '../../steps/kernel-modules/patterns.ts';
import { matchedPath } from '../../steps/kernel-modules/patterns.ts';
import { lastMatch, matchingModules, modulePatterns } from '../../steps/kernel-modules/select.ts';
import type { HostFacts } from '../host/facts.ts';
import { hostModules } from './host-modules.ts';
import type { KernelIndexes } from './kernel-indexes.ts';
import type { InitrdMode } from './modes.ts';
import { bootDrivers, bootEssentials, survivalKit } from './modes.ts';

export interface ModuleWishes {
  readonly mode: InitrdMode;
  readonly patterns: readonly string[];
  readonly profiles: readonly { readonly name: string; readonly patterns: readonly string[] }[];
  readonly host: HostFacts | undefined;
}

/**
 * Modules by mode, profiles and patterns, without what those need; a module may be there several times.
 * @throws MkimgError `unsupported-module-pattern`.
 */
export function wantedModules(wishes: ModuleWishes, indexes: KernelIndexes): readonly SelectedModule[] {
  const patterns = userPatterns(wishes);
  const verdictOn = ({ path }: KernelModule): ModulePattern | undefined =>
    patterns.length === 0 ? undefined : lastMatch(patterns, matchedPath(path));
  const asked = [...indexes.modules.values()].flatMap((module) => {
    const verdict = verdictOn(module);
    return verdict === undefined || verdict.exclude ? [] : [{ module, reasons: [reasonOf(verdict)] }];
  });
  const offered = [...modeSet(wishes, indexes), ...profileSets(wishes, indexes)];
  return [...asked, ...offered.filter(({ module }) => verdictOn(module)?.exclude !== true)];
}

/** Whether a list of patterns adds to what the mode brings, or stands alone. */
export function takesModeSet(patterns: readonly string[]): boolean {
  return patterns.includes('default') || patterns.every((pattern) => pattern.startsWith('-'));
}

function modeSet(wishes: ModuleWishes, indexes: KernelIndexes): readonly SelectedModule[] {
  const { patterns, mode } = wishes;
  if (!takesModeSet(patterns)) return [];
  if (mode !== 'generic') return hostSet(wishes, indexes);
  return matchingModules(modulePatterns(['default']), indexes.modules.values());
}

function userPatterns({ patterns, host }: ModuleWishes): readonly ModulePattern[] {
  return patterns.flatMap((word) => {
    // Stands for what the mode brings.
    if (word === 'default') return [];
    if (word !== 'host' || host === undefined) return modulePatterns([word]);
    const loaded = new Set(host.loadedModules);
    return [{ text: 'host', exclude: false, matches: ({ file }) => loaded.has(moduleName(file)) }];
  });
}

function reasonOf({ text }: ModulePattern): ModuleReason {
  return text === 'host' ? { kind: 'loaded' } : { kind: 'pattern', pattern: text };
}

function profileSets(
  { profiles, mode }: ModuleWishes,
  { modules }: KernelIndexes,
): readonly SelectedModule[] {
  return profiles.flatMap(({ name, patterns }) =>
    profileModules(name, mode === 'generic' ? patterns : withoutDrivers(patterns), modules.values()),
  );
}

function profileModules(
  profile: string,
  patterns: readonly string[],
  modules: Iterable<KernelModule>,
): readonly SelectedModule[] {
  return matchingModules(modulePatterns(patterns), modules).map(({ module, reasons }) => ({
    module,
    reasons: reasons.map((reason) => ({ ...reason, profile })),
  }));
}

function hostSet({ mode, profiles, host }: ModuleWishes, indexes: KernelIndexes): readonly SelectedModule[] {
  if (host === undefined) throw new Error('internal: nothing is known of the host');
  const modules = [...indexes.modules.values()];
  const ofProfiles = profiles.flatMap(({ patterns }) => patterns);
  const drivers = modulePatterns(['default', ...bootDrivers, ...ofProfiles]);
  const named = (what: string, patterns: readonly string[]): readonly SelectedModule[] =>
    matchingModules(modulePatterns(patterns), modules).map(({ module }) => ({
      module,
      reasons: [{ kind: 'survives' as const, what }],
    }));
  return [
    ...hostModules(host, indexes, drivers),
    ...matchingModules(modulePatterns(bootEssentials), modules),
    ...(mode === 'host-plus' ? survivalKit.flatMap(({ what, patterns }) => named(what, patterns)) : []),
  ];
}

/** Whole directories of drivers only tell which devices of the host count. */
function withoutDrivers(patterns: readonly string[]): readonly string[] {
  return patterns.filter((pattern) => !/^\/?(kernel\/)?drivers\/.*\/$/.test(pattern));
}
