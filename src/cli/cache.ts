import { rm } from 'node:fs/promises';
import type { Diagnostic, Result } from '../base/diagnostic.ts';
import { fail, ok } from '../base/diagnostic.ts';
import { ConfigurationError } from '../base/errors.ts';
import { sizeOf } from '../config/codecs/scalars.ts';
import type { PooledFile } from '../engine/package-pool.ts';
import { isCorrupt, listPool } from '../engine/package-pool.ts';
import type { PruneLimits, StoredEntry } from '../engine/prune.ts';
import { listEntries, prune, usualLimits } from '../engine/prune.ts';
import type { CacheProject } from '../engine/projects.ts';
import { listProjects } from '../engine/projects.ts';
import type { Store } from '../engine/store.ts';
import { verifyEntries } from '../engine/verify.ts';
import { openStore } from '../engine/store.ts';
import { currentMode } from '../sandbox/namespace.ts';
import { printable } from '../sandbox/text.ts';
import { reenter } from './session/command-line.ts';
import { formatBytes, formatDuration } from './reporters/format.ts';
import { readProject } from './session/project.ts';
import { cacheLayoutOf } from './session/session.ts';
import type { Verb, VerbContext } from './verb.ts';

const day = 24 * 60 * 60 * 1000;

export const cacheVerb: Verb = {
  name: 'cache',
  summary: 'Show what the cache holds; `cache prune` trims it, `cache verify` checks it',
  doc: `\`cache\` lists what is stored and how much room it takes, \`cache prune\` removes what was not used for a month (or as
the options say), and \`cache verify\` compares every result with its record and removes what is damaged. Nothing that a
running build uses is removed.`,
  words: { usage: '[list|prune|verify]', choices: ['list', 'prune', 'verify'] },
  answers: true,
  options: [
    {
      name: 'older-than',
      takesValue: true,
      summary: 'prune: what was not used for so long (30d, 12h); default 30d',
    },
    {
      name: 'max-size',
      takesValue: true,
      summary: 'prune: what goes beyond this size (10G), the longest unused first',
    },
    { name: 'all', takesValue: false, summary: 'prune: everything that no running build uses' },
  ],
  run: async (context) => {
    const action = parseAction(context);
    if (!action.ok) throw new ConfigurationError(action.diagnostics);
    const store = await openCache(context);
    if (action.value.kind === 'list') return list(store, context);
    // Trees hold files of subordinate ids, which only the namespace may read and remove.
    if (currentMode() === undefined) return reenter(context);
    return action.value.kind === 'prune'
      ? pruneCache(store, action.value.limits, context)
      : verify(store, context);
  },
};

type Action = { readonly kind: 'list' | 'verify' } | { readonly kind: 'prune'; readonly limits: PruneLimits };

/** What the words and options after `cache` ask for. */
export function parseAction({ words, options }: Pick<VerbContext, 'words' | 'options'>): Result<Action> {
  const [word = 'list', ...more] = words;
  if (more.length > 0) return fail(usageFault(`'${more.join(' ')}' is too much`));
  if (word === 'list' || word === 'verify') return ok({ kind: word });
  if (word !== 'prune') return fail(usageFault(`'cache ${word}' does not exist`));
  const limits = parseLimits(options.extra);
  return limits.ok ? ok({ kind: 'prune', limits: limits.value }) : limits;
}

function usageFault(message: string): Diagnostic {
  return {
    severity: 'error',
    code: 'bad-usage',
    message,
    hint: "Write 'cache', 'cache prune' or 'cache verify'.",
  };
}

function parseLimits(extra: Readonly<Record<string, string>>): Result<PruneLimits> {
  const olderThan = option('older-than', extra, {
    parse: parseAge,
    kind: 'an age',
    hint: 'Write 30d, 12h or 2w.',
  });
  const maximumBytes = option('max-size', extra, {
    parse: sizeOf,
    kind: 'a size',
    hint: 'Write 512M or 10G.',
  });
  if (!olderThan.ok || !maximumBytes.ok) {
    return fail(...[olderThan, maximumBytes].flatMap((result) => (result.ok ? [] : result.diagnostics)));
  }
  const limits = { ...olderThan.value, ...maximumBytes.value, all: extra['all'] !== undefined };
  return ok(extra['all'] === undefined && Object.keys(limits).length === 1 ? usualLimits : limits);
}

const limitNames = { 'older-than': 'olderThan', 'max-size': 'maximumBytes' } as const;

interface OptionForm {
  readonly parse: (text: string) => number | undefined;
  readonly kind: string;
  readonly hint: string;
}

/** The limit that an option sets; nothing when it was not given. */
function option(
  name: keyof typeof limitNames,
  extra: Readonly<Record<string, string>>,
  { parse, kind, hint }: OptionForm,
): Result<PruneLimits> {
  const text = extra[name];
  if (text === undefined) return ok({});
  const value = parse(text);
  if (value !== undefined) return ok({ [limitNames[name]]: value });
  const origin = { kind: 'flag', text: `--${name}=${text}` } as const;
  return fail({ severity: 'error', code: 'bad-value', message: `'${text}' is not ${kind}`, origin, hint });
}

const ageUnits: Readonly<Record<string, number>> = { m: 60_000, h: day / 24, d: day, w: 7 * day };

/** Milliseconds from text such as `30d`; undefined when it is no age. */
export function parseAge(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  const factor = ageUnits[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

/** The cache of the project in the directory; outside of a project that of the user, or the one that a flag names. */
async function openCache(context: VerbContext): Promise<Store> {
  try {
    const { main } = await readProject(context);
    return await openStore(cacheLayoutOf(main.config));
  } catch (error) {
    const isOutside =
      error instanceof ConfigurationError &&
      error.diagnostics.every(({ code }) => code === 'no-configuration');
    const named = context.assignments.some(({ setting }) => setting === 'CacheDirectory');
    if (!isOutside || named) throw error;
    return openStore(cacheLayoutOf({ CacheDirectory: undefined }));
  }
}

/** What `mkimg cache` shows. */
export interface CacheContents {
  readonly entries: readonly StoredEntry[];
  readonly packages: readonly PooledFile[];
  readonly projects: readonly CacheProject[];
}

async function list(store: Store, context: VerbContext): Promise<number> {
  const contents: CacheContents = {
    entries: await listEntries(store),
    packages: await listPool(store.layout.packages),
    projects: await listProjects(store.layout.state),
  };
  context.print(context.options.json ? cacheJson(store, contents) : cacheText(store, contents));
  return 0;
}

function cacheJson(store: Store, contents: CacheContents): string {
  const { entries, packages } = contents;
  const document = {
    directory: store.layout.root,
    entries: entries.map(({ key, entry, moved, bytes, lastUsed }) => ({
      ...{ key, bytes, lastUsed: new Date(lastUsed).toISOString() },
      ...(entry === undefined
        ? { [moved ? 'gone' : 'damaged']: true }
        : {
            kind: entry.record.kind,
            label: entry.record.label,
            createdAt: new Date(entry.record.createdAt).toISOString(),
          }),
    })),
    packages: { files: packages.length, bytes: totalBytes(packages) },
    projects: usesOfProjects(contents).map(({ name, lastUsed, ...sizes }) => ({
      ...{ directory: name, lastUsed: new Date(lastUsed).toISOString() },
      ...sizes,
    })),
  };
  return JSON.stringify(document, undefined, 2);
}

interface Use {
  readonly name: string;
  readonly results: number;
  readonly bytes: number;
  /** Bytes of results that no other project uses: what is freed with it. */
  readonly ownBytes: number;
  readonly lastUsed: number;
}

function usesOfProjects({ entries, projects }: CacheContents): readonly Use[] {
  return projects.map(({ directory, keys, lastUsed }) => {
    const others = new Set(
      projects.filter((project) => project.directory !== directory).flatMap((project) => project.keys),
    );
    const used = entries.filter(({ key }) => keys.includes(key));
    const own = used.filter(({ key }) => !others.has(key));
    const sizes = { results: used.length, bytes: totalBytes(used), ownBytes: totalBytes(own) };
    return { name: directory, ...sizes, lastUsed };
  });
}

/** One line for each kind of result, the largest first, and for each project, the one that was used last first. */
export function cacheText(store: Pick<Store, 'layout'>, contents: CacheContents): string {
  const { entries, packages } = contents;
  const items = [
    ...entries.map(({ entry, moved, bytes, lastUsed }) => ({
      kind: entry?.record.kind ?? (moved ? 'replaced outputs' : 'damaged'),
      bytes,
      lastUsed,
    })),
    ...packages.map(({ bytes, lastUsed }) => ({ kind: 'downloaded packages', bytes, lastUsed })),
  ];
  const rows = [...new Set(items.map(({ kind }) => kind))]
    .map((kind) => {
      const same = items.filter((item) => item.kind === kind);
      const lastUsed = Math.max(...same.map((item) => item.lastUsed));
      return { kind, count: same.length, bytes: totalBytes(same), lastUsed };
    })
    .sort((left, right) => right.bytes - left.bytes);
  const now = Date.now();
  return [
    store.layout.root,
    '',
    row(['results of', 'number', 'size', 'last used']),
    ...rows.map(({ kind, count, bytes, lastUsed }) =>
      row([
        kind,
        String(count),
        formatBytes(bytes),
        lastUsed === 0 ? '' : `${formatDuration(now - lastUsed)} ago`,
      ]),
    ),
    row(['all', String(items.length), formatBytes(totalBytes(items)), '']),
    ...projectLines(contents, now),
  ].join('\n');
}

function projectLines(contents: CacheContents, now: number): readonly string[] {
  const { entries, projects } = contents;
  if (projects.length === 0) return [];
  const used = new Set(projects.flatMap(({ keys }) => keys));
  const rest = entries.filter(({ key }) => !used.has(key));
  return [
    '',
    projectRow(['results', 'size', 'alone', 'last used', 'used by']),
    ...usesOfProjects(contents).map(({ name, results, bytes, ownBytes, lastUsed }) =>
      projectRow([
        ...[String(results), formatBytes(bytes), formatBytes(ownBytes)],
        ...[`${formatDuration(Math.max(0, now - lastUsed))} ago`, name],
      ]),
    ),
    projectRow([String(rest.length), formatBytes(totalBytes(rest)), '', '', 'none, in its last build']),
  ];
}

function projectRow([results = '', size = '', alone = '', used = '', name = '']: readonly string[]): string {
  return `${results.padStart(7)} ${size.padStart(10)} ${alone.padStart(10)}   ${used.padEnd(18)} ${printable(name)}`;
}

function row([kind = '', count = '', size = '', used = '']: readonly string[]): string {
  return `${kind.padEnd(24)} ${count.padStart(6)} ${size.padStart(10)}   ${used}`.trimEnd();
}

function totalBytes(items: readonly { readonly bytes: number }[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes, 0);
}

async function pruneCache(store: Store, limits: PruneLimits, context: VerbContext): Promise<number> {
  const { packages, ...results } = await prune(store, limits, context.signal);
  const text = [
    `Removed ${results.removed} results (${formatBytes(results.bytes)}) and ${packages.removed} packages (${formatBytes(packages.bytes)})`,
    ...(results.inUse === 0 ? [] : [`${results.inUse} results stay because a build is running`]),
  ].join('\n');
  context.print(context.options.json ? JSON.stringify({ results, packages }, undefined, 2) : text);
  return 0;
}

/** Reads everything that has a digest; what is damaged is removed, and made or fetched again when it is needed. */
async function verify(store: Store, context: VerbContext): Promise<number> {
  const damaged: string[] = [];
  const entries = await listEntries(store);
  for (const { key, name, message } of await verifyEntries(store, entries, context.signal)) {
    damaged.push(`${name}: ${message}`);
    await store.remove(key);
  }
  const packages = await listPool(store.layout.packages);
  for (const file of packages) {
    context.signal.throwIfAborted();
    if (!(await isCorrupt(file))) continue;
    damaged.push(`${file.path}: the content is not what the name says`);
    await rm(file.path, { force: true });
  }
  const checked = entries.length + packages.length;
  const text = [...damaged, `Checked ${checked} results and packages; removed ${damaged.length}`].join('\n');
  context.print(context.options.json ? JSON.stringify({ checked, damaged }, undefined, 2) : text);
  return damaged.length === 0 ? 0 : 1;
}
