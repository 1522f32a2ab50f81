import { byBytes } from '../../base/canonical.ts';
import type { Setting, ValueOf } from '../setting.ts';
import * as boot from './boot.ts';
import * as build from './build.ts';
import * as caching from './caching.ts';
import * as config from './config.ts';
import * as distribution from './distribution.ts';
import * as expectedMeasurements from './expected-measurements.ts';
import type { FlagRow } from './flags.ts';
import * as kernelModules from './kernel-modules.ts';
import * as output from './output.ts';
import * as packages from './packages.ts';
import * as proxy from './proxy.ts';
import * as repositoryKeys from './repository-keys.ts';
import * as runtime from './runtime.ts';
import * as scripts from './scripts.ts';
import * as secureBoot from './secure-boot.ts';
import * as system from './system.ts';
import * as toolsTree from './tools-tree.ts';
import * as trees from './trees.ts';
import * as validation from './validation.ts';
import * as verity from './verity.ts';
import * as virtualMachine from './virtual-machine.ts';

const origin = { ...distribution, ...repositoryKeys };
const content = { ...packages, ...trees, ...scripts, ...boot, ...kernelModules, ...system };
const signing = { ...validation, ...secureBoot, ...verity, ...expectedMeasurements };
const building = { ...build, ...caching, ...toolsTree, ...proxy };
const running = { ...runtime, ...virtualMachine };

/** All settings by section. Each name that a module of settings exports is a setting of that name. */
const sections = {
  Config: config,
  Distribution: origin,
  Output: output,
  Content: content,
  Validation: signing,
  Build: building,
  Runtime: running,
} as const;

export type SectionName = keyof typeof sections;

type Table = typeof config &
  typeof origin &
  typeof output &
  typeof content &
  typeof signing &
  typeof building &
  typeof running;

export type SettingName = keyof Table;

/** The values of an image, one for each setting. */
export type ImageConfig = { readonly [K in SettingName]: ValueOf<Table[K]> };

/** A setting with its place in the table. */
export interface SettingRow {
  readonly name: SettingName;
  readonly section: SectionName;
  readonly setting: Setting<unknown>;
}

/** Sections that files may open beside those of settings. */
export const conditionSections = ['Match', 'TriggerMatch', 'Assert', 'TriggerAssert'] as const;

/** Other names of sections. */
const sectionAliases: Readonly<Record<string, SectionName>> = { Include: 'Config', Host: 'Runtime' };

export const sectionNames: readonly string[] = [...Object.keys(sections), ...Object.keys(sectionAliases)];

/**
 * All settings, in the order in which `summary` shows them and implicit files are read: by section, then by name. (Names of
 * a module have no order of their own; Node sorts them, bundlers do not.)
 */
export const settingRows: readonly SettingRow[] = Object.entries(sections).flatMap(([section, settings]) =>
  sortedEntries(settings).map(([name, setting]) => ({
    name: name as SettingName,
    section: section as SectionName,
    setting: setting as Setting<unknown>,
  })),
);

function sortedEntries(settings: object): readonly (readonly [name: string, setting: unknown])[] {
  return Object.entries(settings).sort(([left], [right]) => byBytes(left, right));
}

const rowsByName = new Map<string, SettingRow>(settingRows.map((row) => [row.name, row]));

const rowsByOldName = new Map<string, SettingRow>(
  settingRows.flatMap((row) => [
    ...(row.setting.oldNames ?? []).map((name) => [name, row] as const),
    ...Object.entries(row.setting.oldForms ?? {}).map(
      ([name, parse]) =>
        [name, { ...row, setting: { ...row.setting, codec: { ...row.setting.codec, parse } } }] as const,
    ),
  ]),
);

/** A setting by the name that it has or once had; older versions of mkosi took `@NAME` for a default. */
export function findSetting(name: string): SettingRow | undefined {
  const plain = name.replace(/^@/, '');
  return rowsByName.get(plain) ?? rowsByOldName.get(plain);
}

/** The row of a setting that exists. */
export function settingRow(name: SettingName): SettingRow {
  const row = rowsByName.get(name);
  if (row === undefined) throw new Error(`internal: no setting ${name}`);
  return row;
}

/** The section that a header opens; undefined for unknown ones. */
export function findSection(header: string): SectionName | undefined {
  if (Object.hasOwn(sectionAliases, header)) return sectionAliases[header];
  return Object.keys(sections).find((name): name is SectionName => name === header);
}

/** Flags of all settings, in the order of the table. */
export const flagRows: readonly FlagRow[] = settingRows.map(
  ({ name, section, setting: { flags, summary } }) => ({
    setting: name,
    section,
    long: flags?.long ?? kebabCase(name),
    summary,
    ...(flags?.short && { short: flags.short }),
    ...(flags?.shorthand && { shorthand: flags.shorthand }),
    ...(flags?.bare && { bare: flags.bare }),
    ...(flags?.oldLongs && { oldLongs: flags.oldLongs }),
  }),
);

/** Flags of the names that settings had when their values were written in another way; no help text names them. */
export const oldFormFlagRows: readonly FlagRow[] = settingRows.flatMap(({ section, setting }) =>
  Object.keys(setting.oldForms ?? {}).map((name) => ({
    setting: name,
    section,
    long: kebabCase(name),
    summary: setting.summary,
  })),
);

function kebabCase(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
}
