import type { HostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { Diagnostic, Origin, Result } from '../base/diagnostic.ts';
import { fail, ok } from '../base/diagnostic.ts';
import type { ConfigFiles } from './files.ts';
import type { TracedText } from './traced-text.ts';

/** What the meaning of a value's text depends on. */
export interface ParseContext {
  /** What relative paths count from. */
  readonly directory: HostPath;
  readonly files: ConfigFiles;
  /** Of the process that called mkimg. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** One item of a value, with its place; a scalar has exactly one. */
export interface Entry<E> {
  readonly value: E;
  readonly origin: Origin;
  /** It takes all equal items before it back (`!vim` in Packages=) and is none itself. Only where the codec is `removable`. */
  readonly removes?: true;
  /** The assignment that it begins takes the place of those before it. */
  readonly restarts?: true;
}

/**
 * How a kind of value is written, joined and shown. `T` is the value as the rest of mkimg sees it, `E` one item of it;
 * they are the same for scalars.
 */
export interface Codec<T, E = unknown> {
  /** Name of the kind for documentation: `boolean`, `list of paths`. */
  readonly kind: string;
  /** What a further assignment does: take the place of the value, add items, or set keys. */
  readonly merge: 'replace' | 'append' | 'assign';
  /** Reads one assignment that is not empty. */
  parse(text: TracedText, context: ParseContext): Result<readonly Entry<E>[]>;
  /** The value that these items make. Scalars: the last one counts. */
  collect(items: readonly E[]): T;
  /** The items of a value; `collect` of them gives the value again. */
  items(value: T): readonly E[];
  /** Text that `parse` reads as the same value. Empty only for empty collections. */
  show(value: T): string;
  /** One item as a user would write it: how errors find the line of `vim` in Packages=. */
  label(item: E): string;
  /** As `summary --json` shows it. */
  json(value: T): Json;
  /** JSON Schema of that. */
  readonly schema: Json;
  /** The items of a value in the form of `json`; undefined when it has not this form. */
  fromJson?(json: Json): readonly E[] | undefined;
  /** A list of names: an item `!NAME` takes all items NAME before it back. */
  readonly removable?: true;
  /** An empty assignment means nothing. */
  readonly keepsOnEmpty?: true;
  /** All that may be written, where this is a closed set. */
  readonly choices?: readonly string[];
  /** Those of the choices that mkosi knows and mkimg has no effect for yet: they can be shown, but not planned with. */
  readonly later?: readonly string[];
  /** For values that must not be shown: the value without what is secret in it. */
  redact?(value: T): T;
  /** The items that stand for a file which was picked up by its name; not through text, where blanks would split it. */
  readonly fromFile?: (path: HostPath, origin: Origin, context: ParseContext) => Result<readonly Entry<E>[]>;
  /** Puts the items of one layer (files, command line) in order; default: as written. */
  order?(entries: readonly Entry<E>[]): readonly Entry<E>[];
}

export interface ScalarOptions<T> {
  readonly kind: string;
  readonly schema: Json;
  readonly choices?: readonly string[];
  readonly later?: readonly string[];
  readonly redact?: (value: T) => T;
  readonly fromJson?: NonNullable<Codec<T, T>['fromJson']>;
  readonly fromFile?: NonNullable<Codec<T, T>['fromFile']>;
  readonly parse: (text: TracedText, context: ParseContext) => Result<T>;
  readonly show: (value: T) => string;
  readonly json: (value: T) => Json;
}

/** A kind of value of which the last assignment counts. */
export function scalar<T>(options: ScalarOptions<T>): Codec<T, T> {
  const { parse, ...rest } = options;
  return {
    ...rest,
    merge: 'replace',
    parse: (text, context) => {
      const parsed = parse(text, context);
      return parsed.ok ? ok([{ value: parsed.value, origin: text.origin() }], parsed.warnings) : parsed;
    },
    collect: (items) => {
      if (items.length === 0) throw new Error('internal: a scalar was collected from nothing');
      return items[items.length - 1] as T;
    },
    items: (value) => [value],
    label: options.show,
  };
}

/** A fault in a value. */
export function badValue(
  text: TracedText,
  message: string,
  hint?: string,
): { ok: false; diagnostics: readonly Diagnostic[] } {
  return fail({
    severity: 'error',
    code: 'bad-value',
    message,
    origin: text.origin(),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Parses each part; collects the faults of all. */
export function parseEach<P, T>(parts: readonly P[], parse: (part: P) => Result<T>): Result<readonly T[]> {
  const values: T[] = [];
  const faults: Diagnostic[] = [];
  const warnings: Diagnostic[] = [];
  for (const part of parts) {
    const parsed = parse(part);
    if (parsed.ok) {
      values.push(parsed.value);
      warnings.push(...parsed.warnings);
    } else {
      faults.push(...parsed.diagnostics);
    }
  }
  return faults.length > 0 ? fail(...faults) : ok(values, warnings);
}
