import type { HostPath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { byBytes } from '../../base/canonical.ts';
import type { Result } from '../../base/diagnostic.ts';
import { ok } from '../../base/diagnostic.ts';
import type { Codec, Entry, ParseContext } from '../codec.ts';
import { badValue, parseEach } from '../codec.ts';
import type { TracedText } from '../traced-text.ts';
import { split } from '../traced-text.ts';
import type { PathOptions, Tree } from './paths.ts';
import { asItem, expandGlob, parseTree } from './paths.ts';
import { quoteWord, splitWords } from './words.ts';

/** Most lists: commas and any white space separate. */
const commasAndSpace = { separator: /[,\s]+/g, join: ' ' };
/** Kernel command lines and the like: commas belong to the words. */
const spaceOnly = { separator: /\s+/g, join: ' ' };
type Separation = typeof commasAndSpace;

interface ListOptions<E> {
  readonly kind: string;
  readonly separation: Separation;
  readonly schema: Json;
  readonly choices?: readonly string[];
  readonly parse: (part: TracedText, context: ParseContext) => Result<readonly E[]>;
  readonly show: (item: E) => string;
  readonly json: (item: E) => Json;
  readonly fromFile?: NonNullable<Codec<readonly E[], E>['fromFile']>;
}

function listOf<E>(options: ListOptions<E>): Codec<readonly E[], E> {
  const { kind, separation, schema, parse, show, json, choices, fromFile } = options;
  return {
    kind,
    merge: 'append',
    schema: { type: 'array', items: schema },
    parse: (text, context) => {
      const parts = split(text, separation.separator);
      const parsed = parseEach(parts, (part) => {
        const items = parse(part, context);
        if (!items.ok) return items;
        return ok(
          items.value.map((value) => ({ value, origin: part.origin() })),
          items.warnings,
        );
      });
      return parsed.ok ? ok(parsed.value.flat(), parsed.warnings) : parsed;
    },
    collect: (items) => items,
    items: (value) => value,
    show: (value) => value.map(show).join(separation.join),
    label: show,
    json: (value) => value.map(json),
    ...(choices && { choices }),
    ...(fromFile && { fromFile }),
  };
}

function textList(kind: string, separation: Separation): Codec<readonly string[], string> {
  return listOf<string>({
    kind,
    separation,
    schema: { type: 'string' },
    parse: (part) => ok([part.text]),
    show: (item) => item,
    json: (item) => item,
  });
}

/** Words separated by commas or white space. */
export const list = textList('list', commasAndSpace);

/** Words separated by white space. */
export const spaceList = textList('list separated by blanks', spaceOnly);

/** Package names: by bytes, files after names, conditional ones last, as package managers and people expect them. */
export const packages: Codec<readonly string[], string> = {
  ...list,
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
    separation: commasAndSpace,
    schema: item.schema,
    ...(item.choices && { choices: item.choices }),
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
  separation: commasAndSpace,
  schema: { type: 'string' },
  parse: expandGlob,
  fromFile: asItem,
  show: (value) => value,
  json: (value) => value,
});

export interface TreeOptions extends PathOptions {
  /** Show targets as absolute paths in the image. */
  readonly absolute: boolean;
}

/** `source[:target]` items. */
export function trees(options: TreeOptions): Codec<readonly Tree[], Tree> {
  return listOf<Tree>({
    kind: 'list of source[:target]',
    separation: commasAndSpace,
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
    show: ({ source, target }) => (target === '' ? source : `${source}:/${target}`),
    json: ({ source, target }) => ({
      Source: source,
      Target: target === '' ? null : options.absolute ? `/${target}` : target,
    }),
  });
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

/** `KEY=VALUE` words, quoted as in a shell; `KEY` alone takes the value from mkimg's own environment. */
export const environment: Codec<Readonly<Record<string, string>>, Pair> = {
  kind: 'list of KEY=VALUE, quoted as in a shell',
  merge: 'assign',
  schema: { type: 'object', additionalProperties: { type: 'string' } },
  parse: (text, context) => {
    const words = splitWords(text);
    if (words === undefined) return badValue(text, 'a quote is not closed');
    return parseEach(words, (word) => parsePair(word, context));
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

function parsePair(word: TracedText, context: ParseContext): Result<Entry<Pair>> {
  const equals = word.text.indexOf('=');
  const key = equals < 0 ? word.text : word.text.slice(0, equals);
  if (key === '') return badValue(word, `'${word.text}' has no name before '='`, 'Write NAME=VALUE.');
  const value = equals < 0 ? (context.environment[key] ?? '') : word.text.slice(equals + 1);
  return ok({ value: [key, value], origin: word.origin() });
}
