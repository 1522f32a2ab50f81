import type { KernelModule } from '../../formats/kmod.ts';
import { moduleName, parseModuleList } from '../../formats/kmod.ts';
import type { KmodIndexEntry } from '../../formats/kmod-index.ts';
import { writeKmodIndex } from '../../formats/kmod-index.ts';

/** depmod's text files of one kernel; empty text for those that are missing. */
export interface DepmodTexts {
  readonly 'modules.dep': string;
  readonly 'modules.alias': string;
  readonly 'modules.symbols': string;
  readonly 'modules.softdep': string;
  readonly 'modules.weakdep': string;
  readonly 'modules.devname': string;
  readonly 'modules.order': string;
}
export const depmodTexts = [
  'modules.dep',
  'modules.alias',
  'modules.symbols',
  'modules.softdep',
  'modules.weakdep',
  'modules.devname',
  'modules.order',
] as const satisfies readonly (keyof DepmodTexts)[];

/** Say nothing about loadable modules, so they hold for every selection. */
export const builtinIndexes = [
  'modules.builtin',
  'modules.builtin.alias.bin',
  'modules.builtin.bin',
  'modules.builtin.modinfo',
] as const;

/**
 * The index files that depmod would make if only these modules were there: libkmod needs the binary ones, and the texts of
 * soft and weak dependencies. Made from the full texts, because depmod would have to unpack and read each module again.
 */
export function reducedIndexes(
  texts: DepmodTexts,
  selected: readonly KernelModule[],
): ReadonlyMap<string, Buffer> {
  const names = new Set(selected.map((module) => module.name));
  const dependencies = lines(texts['modules.dep']).filter((line) => names.has(moduleName(pathOf(line))));
  const places = new Map(dependencies.map((line, place) => [moduleName(pathOf(line)), place]));
  const aliases = (text: string, keyOf: (word: string) => string): Buffer =>
    writeKmodIndex(aliasEntries(text, places, keyOf));
  const filtered = (text: string, word: number): Buffer =>
    joined(lines(text).filter((line) => names.has(moduleName(line.split(' ')[word] ?? ''))));
  return new Map([
    ['modules.dep', joined(dependencies)],
    ['modules.dep.bin', writeKmodIndex(dependencyEntries(dependencies))],
    ['modules.alias.bin', aliases(texts['modules.alias'], normalizedAlias)],
    ['modules.symbols.bin', aliases(texts['modules.symbols'], (word) => word)],
    ['modules.softdep', filtered(texts['modules.softdep'], 1)],
    ['modules.weakdep', filtered(texts['modules.weakdep'], 1)],
    ['modules.devname', filtered(texts['modules.devname'], 0)],
    ['modules.order', filtered(texts['modules.order'], 0)],
  ]);
}

/** The binary form of a whole modules.alias; modules.dep gives the order of modules. */
export function aliasIndex(text: string, dependencies: string): Buffer {
  return writeKmodIndex(aliasEntries(text, placesIn(dependencies), normalizedAlias));
}

/** The binary form of a whole modules.symbols; modules.dep gives the order of modules. */
export function symbolIndex(text: string, dependencies: string): Buffer {
  return writeKmodIndex(aliasEntries(text, placesIn(dependencies), (word) => word));
}

function placesIn(dependencies: string): ReadonlyMap<string, number> {
  return new Map(lines(dependencies).map((line, place) => [moduleName(pathOf(line)), place]));
}

/** The binary form of a whole modules.dep. */
export function dependencyIndex(text: string): Buffer {
  return writeKmodIndex(dependencyEntries(lines(text)));
}

/** The binary form of a whole modules.builtin: names alone. */
export function builtinIndex(text: string): Buffer {
  const names = [...parseModuleList(text)].filter(isIndexKey);
  return writeKmodIndex(names.map((key) => ({ key, value: '', priority: 0 })));
}

function dependencyEntries(dependencies: readonly string[]): readonly KmodIndexEntry[] {
  return dependencies
    .map((line, priority) => ({ key: moduleName(pathOf(line)), value: line, priority }))
    .filter(({ key }) => isIndexKey(key));
}

function* aliasEntries(
  text: string,
  places: ReadonlyMap<string, number>,
  keyOf: (word: string) => string,
): Generator<KmodIndexEntry> {
  for (const line of lines(text)) {
    const [, word, value] = line.split(' ');
    if (word === undefined || value === undefined) continue;
    const priority = places.get(moduleName(value));
    const key = keyOf(word);
    if (priority !== undefined && isIndexKey(key)) yield { key, value, priority };
  }
}

/** `_` for `-` but inside brackets, where `-` makes a range; as depmod writes keys and modprobe looks them up. */
function normalizedAlias(alias: string): string {
  return alias.replace(/\[[^\]]*\]|-/g, (part) => (part === '-' ? '_' : part));
}

/** The image may hold anything; what depmod could not have written is left out. */
function isIndexKey(key: string): boolean {
  return /^[\x21-\x7e]+$/.test(key);
}

function pathOf(line: string): string {
  return line.slice(0, line.indexOf(':'));
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

function joined(list: readonly string[]): Buffer {
  return Buffer.from(list.map((line) => `${line}\n`).join(''));
}
