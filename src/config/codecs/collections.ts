import type { HostPath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { byBytes } from '../../base/canonical.ts';
import type { Result } from '../../base/diagnostic.ts';
import { ok } from '../../base/diagnostic.ts';
import type { Codec, Entry, ParseContext } from '../codec.ts';
import { badValue, parseEach } from '../codec.ts';
import type { TracedText } from '../traced-text.ts';
import { slice } from '../traced-text.ts';
import type { Tree, TreeOptions } from './paths.ts';
import { asItem, expandGlob, parseTree } from './paths.ts';
import { parseFileName } from './scalars.ts';
import type { ListItem } from './words.ts';
import { quoteItem, quoteWord, splitKernelArguments, splitList, splitWords } from './words.ts';

/** Most lists: commas and any white space separate. */
const commasAndSpace = /[,\s]/;
/** Where commas belong to the words. */
const spaceOnly = /\s/;

export interface ListOptions<E> {
  readonly kind: string;
  readonly separator?: RegExp;
  readonly schema: Json;
  readonly choices?: readonly string[];
  readonly later?: readonly string[];
  readonly removable?: true;
  readonly parse: (part: TracedText, context: ParseContext) => Result<readonly E[]>;
  readonly show: (item: E) => string;
  readonly json: (item: E) => Json;
  readonly fromFile?: NonNullable<Codec<readonly E[], E>['fromFile']>;
}

/** A list whose items are separated, and can be quoted so that they hold separators. */
export function listOf<E>(options: ListOptions<E>): Codec<readonly E[], E> {
  const {
    kind,
    separator = commasAndSpace,
    schema,
    show,
    json,
    choices,
    later,
    removable,
    fromFile,
  } = options;
  return {
    kind,
    merge: 'append',
    schema: { type: 'array', items: schema },
    parse: (text, context) => {
      const items = splitList(text, separator);
      if (items === undefined) return badValue(text, 'a quote is not closed');
      const parsed = parseEach(items, (item) => parseItem(item, context, options));
      return parsed.ok ? ok(parsed.value.flat(), parsed.warnings) : parsed;
    },
    collect: (items) => items,
    items: (value) => value,
    show: (value) => value.map((item) => quoteItem(show(item), separator)).join(' '),
    label: show,
    json: (value) => value.map(json),
    ...(choices && { choices }),
    ...(later && { later }),
    ...(removable && { removable }),
    ...(fromFile && { fromFile }),
  };
}

function parseItem<E>(
  { text, quoted }: ListItem,
  context: ParseContext,
  options: ListOptions<E>,
): Result<readonly Entry<E>[]> {
  const removes = options.removable === true && !quoted && text.text.startsWith('!');
  const items = options.parse(removes ? slice(text, 1) : text, context);
  if (!items.ok) return items;
  const origin = text.origin();
  return ok(
    items.value.map((value) => ({ value, origin, ...(removes && { removes }) })),
    items.warnings,
  );
}

const words: ListOptions<string> = {
  kind: 'list',
  schema: { type: 'string' },
  parse: (part) => ok([part.text]),
  show: (item) => item,
  json: (item) => item,
};

/** Words separated by commas or white space. */
export const list = listOf(words);

/** As `list`; `!NAME` takes a name before it back. */
export const names = listOf({
  ...words,
  kind: 'list of names',
  removable: true,
  parse: (part) => (part.text === '' ? badValue(part, 'a name is missing behind !') : ok([part.text])),
});

/** Names that are parts of the names of files. */
export const profileNames = listOf({
  ...words,
  kind: 'list of names',
  removable: true,
  parse: (part) => {
    const name = parseFileName(part);
    return name.ok ? ok([name.value]) : name;
  },
});

/** Words separated by white space alone. */
export const spaceList = listOf({ ...words, kind: 'list separated by blanks', separator: spaceOnly });

/** Arguments of the kernel. */
export const kernelArguments: Codec<readonly string[], string> = {
  ...spaceList,
  kind: 'list of kernel arguments, separated by blanks',
  parse: (text) =>
    ok(splitKernelArguments(text).map((part) => ({ value: part.text, origin: part.origin() }))),
  show: (value) => value.join(' '),
};

/** Regular expressions of the kernel's modules or firmware, as older filters have them. */
export const moduleExpressions = listOf({
  ...words,
  kind: 'list of regular expressions',
  json: asPattern,
});

function asPattern(expression: string): string {
  return expression === 'default' || expression === 'host' ? expression : `re:${expression}`;
}

/** Regular expressions as items of a list of patterns, where `re:` marks them. */
export const expressionsAsPatterns: typeof list.parse = (text, context) => {
  const parsed = moduleExpressions.parse(text, context);
  if (!parsed.ok) return parsed;
  const entries = parsed.value.map(({ value, ...rest }) => ({ ...rest, value: asPattern(value) }));
  return ok(entries, parsed.warnings);
};

/** Package names: by bytes, files after names, conditional ones last, as package managers and people expect them. */
export const packages: Codec<readonly string[], string> = {
  ...names,
  kind: 'list of packages',
  order: (entries) =>
    [...entries].sort(
      (left, right) => rank(left.value) - rank(right.value) || byBytes(left.value, right.value),
    ),
};

function rank(name: string): number {
  if (name.startsWith('(')) return 2;
  return name.startsWith('/') ? 1 : 0;
}

/** Words of a closed set. */
export function enumerationList<T extends string>(item: Codec<T, T>): Codec<readonly T[], T> {
  return listOf<T>({
    kind: `list of ${item.kind}`,
    schema: item.schema,
    ...(item.choices && { choices: item.choices }),
    ...(item.later && { later: item.later }),
    ...(item.fromFile && { fromFile: item.fromFile }),
    parse: (part, context) => {
      const parsed = item.parse(part, context);
      return parsed.ok
        ? ok(
            parsed.value.map(({ value }) => value),
            parsed.warnings,
          )
        : parsed;
    },
    show: (value) => value,
    json: (value) => value,
  });
}

/** Paths on the host, or words. */
export function pathList<P extends string = HostPath>(item: Codec<P, P>): Codec<readonly P[], P> {
  return { ...enumerationList(item), kind: 'list of paths' };
}

/** Files by name or wildcard, each wildcard's matches sorted. A file without wildcards must exist. */
export const globList = listOf<HostPath>({
  kind: 'list of files, wildcards allowed',
  schema: { type: 'string' },
  parse: expandGlob,
  fromFile: asItem,
  show: (value) => value,
  json: (value) => value,
});

/** `source[:target]` items. */
export function trees(options: TreeOptions): Codec<readonly Tree[], Tree> {
  return listOf<Tree>({
    kind: 'list of source[:target]',
    schema: {
      type: 'object',
      properties: { Source: { type: 'string' }, Target: { type: ['string', 'null'] } },
      required: ['Source', 'Target'],
    },
    fromFile: (source, origin) => ok([{ value: { source, target: treePath('') }, origin }]),
    parse: (part, context) => {
      const parsed = parseTree(part, context, options);
      return parsed.ok ? ok([parsed.value]) : parsed;
    },
    show: (tree) => {
      const target = writtenTarget(tree, options);
      return target === undefined ? tree.source : `${tree.source}:${target}`;
    },
    json: (tree) => ({ Source: tree.source, Target: writtenTarget(tree, options) ?? null }),
  });
}

function writtenTarget({ target, rooted, here }: Tree, { absolute }: TreeOptions): string | undefined {
  if (rooted === true) return `/${target}`;
  if (here === true) return '.';
  if (target === '') return undefined;
  return absolute ? `/${target}` : target;
}

/** Words as a shell splits them: quotes and backslashes keep blanks. */
export const quotedList: Codec<readonly string[], string> = {
  ...list,
  kind: 'list, quoted as in a shell',
  parse: (text) => {
    const words = splitWords(text);
    if (words === undefined) return badValue(text, 'a quote is not closed');
    return ok(words.map((word) => ({ value: word.text, origin: word.origin() })));
  },
  show: (value) => value.map(quoteWord).join(' '),
};

export type Pair = readonly [key: string, value: string];

/** `KEY=VALUE` words, quoted as in a shell. */
function dictionary(
  kind: string,
  missingValue: (key: string, context: ParseContext) => string,
): Codec<Readonly<Record<string, string>>, Pair> {
  return {
    kind,
    merge: 'assign',
    schema: { type: 'object', additionalProperties: { type: 'string' } },
    parse: (text, context) => {
      const parts = splitWords(text);
      if (parts === undefined) return badValue(text, 'a quote is not closed');
      return parseEach(parts, (part) => parsePair(part, (key) => missingValue(key, context)));
    },
    collect: (pairs) => Object.fromEntries(pairs),
    items: (value) => Object.entries(value),
    show: (value) =>
      Object.entries(value)
        .map(([key, member]) => quoteWord(`${key}=${member}`))
        .join(' '),
    label: ([key]) => key,
    json: (value) => value,
  };
}

/** Variables; `KEY` alone takes the value from mkimg's own environment. */
export const environment = dictionary(
  'list of KEY=VALUE, quoted as in a shell',
  (key, context) => context.environment[key] ?? '',
);

/** Keys and values; `KEY` alone has an empty value. */
export const pairs = dictionary('list of KEY=VALUE, quoted as in a shell', () => '');

function parsePair(word: TracedText, missingValue: (key: string) => string): Result<Entry<Pair>> {
  const equals = word.text.indexOf('=');
  const key = equals < 0 ? word.text : word.text.slice(0, equals);
  if (key === '') return badValue(word, `'${word.text}' has no name before '='`, 'Write NAME=VALUE.');
  const value = equals < 0 ? missingValue(key) : word.text.slice(equals + 1);
  return ok({ value: [key, value], origin: word.origin() });
}
