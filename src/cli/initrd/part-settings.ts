import { join, sep } from 'node:path';
import type { Json } from '../../base/canonical.ts';
import { isObject } from '../../base/canonical.ts';
import type { Origin } from '../../base/diagnostic.ts';
import type { ResolvedImage } from '../../config/project.ts';
import type { ModuleProfile } from '../../initrd/modules/select.ts';
import { defaultEpoch } from '../../plan/image.ts';
import { productDirectory } from '../product.ts';

/** What the configuration of the base says about the other parts. */
export interface PartSettings {
  /** Profiles=, from configuration and command line. */
  readonly profiles: readonly string[];
  /** KernelInitrdModules= of the machine's configuration and of the command line. */
  readonly patterns: readonly string[];
  /** KernelInitrdModules= of mkimg's own profiles, those included that others bring along. */
  readonly moduleProfiles: readonly ModuleProfile[];
  /** SourceDateEpoch=, seconds since 1970. */
  readonly epoch: number;
}

/** Reads them off the image of the base. */
export function partSettings(image: ResolvedImage): PartSettings {
  const { Profiles: profiles, SourceDateEpoch } = image.config;
  const patterns: string[] = [];
  const ofProfiles = new Map<string, string[]>();
  for (const entry of image.resolved('KernelInitrdModules').entries) {
    const profile = profileOf(entry);
    if (profile === undefined) patterns.push(String(entry.value));
    else ofProfiles.set(profile, [...(ofProfiles.get(profile) ?? []), String(entry.value)]);
  }
  const moduleProfiles = [...ofProfiles].map(([name, own]) => ({ name, patterns: own }));
  return { profiles, patterns, moduleProfiles, epoch: SourceDateEpoch ?? defaultEpoch };
}

/** Packages= of the image without those of mkimg's profiles. */
export function packagesWithoutProfiles(image: ResolvedImage): readonly string[] {
  const { entries } = image.resolved('Packages');
  return entries.filter((entry) => profileOf(entry) === undefined).map(({ value }) => String(value));
}

const profilesDirectory = join(productDirectory, 'drop-ins/initrd');

/** The profile of mkimg's that an entry of a setting comes from. */
function profileOf({ origin }: { readonly origin: Origin }): string | undefined {
  return origin.kind === 'file' ? ownProfile(origin.span.file) : undefined;
}

function ownProfile(file: string): string | undefined {
  if (!file.startsWith(profilesDirectory + sep)) return undefined;
  const [name = ''] = file.slice(profilesDirectory.length + 1).split(sep);
  return name.replace(/\.conf$/, '');
}

/** As a note of the base's record. */
export function partSettingsJson(settings: PartSettings): Json {
  const { profiles, patterns, moduleProfiles, epoch } = settings;
  return {
    ...{ profiles, patterns, epoch },
    moduleProfiles: moduleProfiles.map(({ name, patterns: own }) => ({ name, patterns: own })),
  };
}

/** undefined where the note is none. */
export function parsePartSettings(note: Json): PartSettings | undefined {
  if (!isObject(note)) return undefined;
  const { profiles, patterns, moduleProfiles, epoch } = note;
  if (!isTextList(profiles) || !isTextList(patterns) || typeof epoch !== 'number') return undefined;
  if (!Array.isArray(moduleProfiles)) return undefined;
  const own = moduleProfiles.map((profile): ModuleProfile | undefined => {
    if (!isObject(profile)) return undefined;
    const { name, patterns: words } = profile;
    return typeof name === 'string' && isTextList(words) ? { name, patterns: words } : undefined;
  });
  const known = own.filter((profile) => profile !== undefined);
  return known.length === own.length ? { profiles, patterns, moduleProfiles: known, epoch } : undefined;
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
