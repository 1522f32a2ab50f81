import { elfSection } from './elf.ts';

/** Readers of the text files in usr/lib/modules/VERSION (depmod(8), modules.dep(5)) and of module files themselves. */

export interface KernelModule {
  /** With `_` for `-`, as modprobe sees it. */
  readonly name: string;
  /** Relative to usr/lib/modules/VERSION, as depmod writes it (`kernel/fs/ext4/ext4.ko.xz`). */
  readonly path: string;
  /** Names of all modules it needs, direct and indirect. */
  readonly dependencies: readonly string[];
}

/** Compressions of module and firmware files, by suffix. */
export const compressionSuffixes = ['.xz', '.zst', '.gz'] as const;
export type CompressionSuffix = (typeof compressionSuffixes)[number];

/** How a module or firmware file is compressed; undefined for one that is not. */
export function compressionSuffixOf(path: string): CompressionSuffix | undefined {
  return compressionSuffixes.find((suffix) => path.endsWith(suffix));
}

/** Name that modprobe and the kernel use: no directory, no suffix, `_` for `-`. */
export function moduleName(path: string): string {
  return modulePathWithoutSuffix(path)
    .slice(path.lastIndexOf('/') + 1)
    .replaceAll('-', '_');
}

export function modulePathWithoutSuffix(path: string): string {
  return path.replace(/\.ko(\.(xz|zst|gz))?$/, '');
}

/** Reads modules.dep: one line for each module, `path: path path ...`. Names are unique; depmod keeps one file of each. */
export function parseModulesDep(text: string): ReadonlyMap<string, KernelModule> {
  const modules = new Map<string, KernelModule>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const path = line.slice(0, colon);
    const dependencies = words(line.slice(colon + 1)).map(moduleName);
    modules.set(moduleName(path), { name: moduleName(path), path, dependencies });
  }
  return modules;
}

/**
 * Reads modules.softdep (`softdep NAME pre: A B post: C`) and modules.weakdep (`weakdep NAME A B`): what else should be
 * there for a module. The words are names or aliases.
 */
export function parseRelations(text: string): ReadonlyMap<string, readonly string[]> {
  const relations = new Map<string, readonly string[]>();
  for (const line of text.split('\n')) {
    const [keyword, name, ...rest] = words(line);
    if ((keyword !== 'softdep' && keyword !== 'weakdep') || name === undefined) continue;
    const others = rest.filter((word) => word !== 'pre:' && word !== 'post:');
    const key = moduleName(name);
    relations.set(key, [...(relations.get(key) ?? []), ...others]);
  }
  return relations;
}

/** Reads modules.alias (`alias PATTERN NAME`), but only aliases without wildcards: dependencies use no others. */
export function parsePlainAliases(text: string): ReadonlyMap<string, readonly string[]> {
  const aliases = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const match = /^alias ([^ *?[]+) (\S+)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const key = match[1].replaceAll('-', '_');
    const known = aliases.get(key);
    if (known === undefined) aliases.set(key, [moduleName(match[2])]);
    else known.push(moduleName(match[2]));
  }
  return aliases;
}

/** Reads modules.builtin or modules.order: one path on each line; gives names. */
export function parseModuleList(text: string): ReadonlySet<string> {
  return new Set(words(text).map(moduleName));
}

export interface ModinfoField {
  readonly key: string;
  readonly value: string;
}

/** Reads modules.builtin.modinfo: NUL-separated `NAME.KEY=VALUE` of what is built into the kernel. */
export function parseBuiltinModinfo(text: string): ReadonlyMap<string, readonly ModinfoField[]> {
  const modules = new Map<string, ModinfoField[]>();
  for (const record of text.split('\0')) {
    const match = /^([^.=]+)\.([^=]+)=(.*)$/s.exec(record);
    if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) continue;
    const fields = modules.get(moduleName(match[1])) ?? [];
    fields.push({ key: match[2], value: match[3] });
    modules.set(moduleName(match[1]), fields);
  }
  return modules;
}

/**
 * The `.modinfo` section of an uncompressed module.
 * @throws MkimgError `bad-elf` when the file is damaged.
 */
export function readModinfo(module: Buffer): readonly ModinfoField[] {
  const section = elfSection(module, '.modinfo');
  return section === undefined ? [] : modinfoFields(section);
}

/** The fields of a `.modinfo` section: NUL-separated `KEY=VALUE`. */
export function modinfoFields(section: Buffer): readonly ModinfoField[] {
  return section
    .toString('utf8')
    .split('\0')
    .map((record) => record.split('='))
    .flatMap(([key, ...value]) => (key === undefined || key === '' ? [] : [{ key, value: value.join('=') }]));
}

/** Firmware files that a module may ask for (firmware_class names, may be patterns). */
export function firmwareNames(fields: readonly ModinfoField[]): readonly string[] {
  return fields.filter((field) => field.key === 'firmware').map((field) => field.value);
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
