import type { Result } from '../../base/diagnostic.ts';
import { ok } from '../../base/diagnostic.ts';
import { closest } from '../../base/suggestion.ts';
import type { Codec } from '../codec.ts';
import { badValue, scalar } from '../codec.ts';
import type { TracedText } from '../traced-text.ts';

const yes = ['1', 'true', 'yes', 'y', 't', 'on', 'always'];
const no = ['0', 'false', 'no', 'n', 'f', 'off', 'never'];

/** A spelling of a truth value, in any case; undefined for other words. */
export function booleanOf(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (yes.includes(word)) return true;
  return no.includes(word) ? false : undefined;
}

/** Text taken as it is. */
export const text = scalar<string>({
  kind: 'text',
  schema: { type: 'string' },
  parse: (value) => ok(value.text),
  show: (value) => value,
  json: (value) => value,
});

/** Name of a file, without directories. */
export const fileName = scalar<string>({
  kind: 'file name',
  schema: { type: 'string', pattern: '^[^/]*$' },
  parse: parseFileName,
  show: (value) => value,
  json: (value) => value,
});

export function parseFileName(value: TracedText): Result<string> {
  return value.text.includes('/') || value.text === '.' || value.text === '..'
    ? badValue(value, `'${value.text}' is not a file name`, 'Write a name without directories.')
    : ok(value.text);
}

export const boolean = scalar<boolean>({
  kind: 'boolean',
  schema: { type: 'boolean' },
  choices: ['yes', 'no'],
  parse: (value) => {
    const truth = booleanOf(value.text);
    return truth === undefined
      ? badValue(value, `'${value.text}' is neither yes nor no`, 'Write yes or no.')
      : ok(truth);
  },
  show: (value) => (value ? 'yes' : 'no'),
  json: (value) => value,
});

export type Feature = boolean | 'auto';

/** Wanted, not wanted, or decided by what the image holds. */
export const feature = scalar<Feature>({
  kind: 'yes, no or auto',
  schema: { enum: ['enabled', 'disabled', 'auto'] },
  choices: ['yes', 'no', 'auto'],
  parse: (value) => {
    const word = value.text.toLowerCase();
    if (word === 'auto') return ok(word);
    const truth = word === 'enabled' ? true : word === 'disabled' ? false : booleanOf(word);
    return truth === undefined
      ? badValue(value, `'${value.text}' is neither yes, no nor auto`, 'Write yes, no or auto.')
      : ok(truth);
  },
  show: (value) => (value === 'auto' ? 'auto' : value ? 'yes' : 'no'),
  json: (value) => (value === 'auto' ? 'auto' : value ? 'enabled' : 'disabled'),
});

export interface EnumerationOptions<T extends string> {
  /** Other spellings. */
  readonly aliases?: Readonly<Record<string, NoInfer<T>>>;
  /** What boolean words stand for. */
  readonly boolean?: { readonly yes: NoInfer<T>; readonly no: NoInfer<T> };
}

/** Words of mkosi that have no effect in mkimg yet. */
export interface LaterWords<L extends string> {
  readonly later?: readonly L[];
}

/** One word of a closed set. */
export function enumeration<const T extends string>(
  values: readonly T[],
  options?: EnumerationOptions<T>,
): Codec<T, T>;
export function enumeration<const T extends string, const L extends string>(
  values: readonly T[],
  options: EnumerationOptions<T | L> & LaterWords<L>,
): Codec<T | L, T | L>;
export function enumeration<T extends string, L extends string>(
  values: readonly T[],
  options: EnumerationOptions<T | L> & LaterWords<L> = {},
): Codec<T | L, T | L> {
  const all: readonly (T | L)[] = [...values, ...(options.later ?? [])];
  return scalar<T | L>({
    kind: `one of ${all.join(', ')}`,
    schema: { enum: [...all] },
    choices: all,
    ...(options.later && { later: options.later }),
    parse: (value) => parseWord(value, all, options),
    show: (value) => value,
    json: (value) => value,
  });
}

function parseWord<T extends string>(
  value: TracedText,
  values: readonly T[],
  options: EnumerationOptions<T>,
): Result<T> {
  const word = value.text;
  const truth = options.boolean && booleanOf(word);
  const found =
    values.find((known) => known === word) ??
    new Map(Object.entries(options.aliases ?? {})).get(word) ??
    (truth === undefined ? undefined : options.boolean?.[truth ? 'yes' : 'no']);
  if (found !== undefined) return ok(found);
  const hint = `Known: ${values.join(', ')}.`;
  const near = closest(word, values);
  return badValue(
    value,
    `'${word}' is not a known value`,
    near === undefined ? hint : `Did you mean '${near}'? ${hint}`,
  );
}

export interface IntegerOptions {
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A whole number in decimal digits. */
export function integer({ minimum = 0, maximum = Number.MAX_SAFE_INTEGER }: IntegerOptions = {}): Codec<
  number,
  number
> {
  return scalar<number>({
    kind: 'number',
    schema: { type: 'integer', minimum, ...(maximum === Number.MAX_SAFE_INTEGER ? {} : { maximum }) },
    parse: (value) => {
      const number = /^[+-]?\d+$/.test(value.text) ? Number(value.text) : NaN;
      if (!Number.isSafeInteger(number)) return badValue(value, `'${value.text}' is not a whole number`);
      return number < minimum || number > maximum
        ? badValue(value, `${value.text} is out of range`, rangeHint(minimum, maximum))
        : ok(number);
    },
    show: String,
    json: (value) => value,
  });
}

function rangeHint(minimum: number, maximum: number): string {
  return maximum === Number.MAX_SAFE_INTEGER
    ? `It must be at least ${minimum}.`
    : `It must be between ${minimum} and ${maximum}.`;
}

/** A size of sectors: a power of two from 512 to 4096. */
export const sectorSize = scalar<512 | 1024 | 2048 | 4096>({
  kind: 'sector size',
  schema: { enum: [512, 1024, 2048, 4096] },
  choices: ['512', '1024', '2048', '4096'],
  parse: (value) => {
    const found = ([512, 1024, 2048, 4096] as const).find(
      (size) => /^\+?\d+$/.test(value.text) && size === Number(value.text),
    );
    return found === undefined
      ? badValue(value, `'${value.text}' is not a sector size`, 'Write 512, 1024, 2048 or 4096.')
      : ok(found);
  },
  show: String,
  json: (value) => value,
});

/** Permission bits in octal digits. */
export const octalMode = scalar<number>({
  kind: 'octal mode',
  schema: { type: 'integer', minimum: 0, maximum: 0o1777 },
  parse: (value) =>
    /^(?:0o)?0*1?[0-7]{1,3}$/.test(value.text)
      ? ok(Number.parseInt(value.text.replace(/^0o/, ''), 8))
      : badValue(value, `'${value.text}' is not an octal mode`, 'Write permissions such as 0644.'),
  show: (value) => `0${value.toString(8)}`,
  json: (value) => value,
});

const sizeUnit = 4096;
const sizeFactors = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 } as const;

/** Bytes from text such as `512M`, `1.5G`, `1e3 K`; rounded up to 4096. undefined when it is no size, or none at all. */
export function sizeOf(text: string): number | undefined {
  const number = /^\s*(\+?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([KMG]?)$/;
  const [, digits, unit = ''] = number.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const bytes = Number(digits) * sizeFactors[unit as keyof typeof sizeFactors];
  const rounded = Math.ceil(bytes / sizeUnit) * sizeUnit;
  return rounded > 0 && Number.isSafeInteger(rounded) ? rounded : undefined;
}

/** A size as short as it can be written. */
export function showSize(bytes: number): string {
  for (const unit of ['G', 'M', 'K'] as const) {
    if (bytes > 0 && bytes % sizeFactors[unit] === 0) return `${bytes / sizeFactors[unit]}${unit}`;
  }
  return String(bytes);
}

/** A number of bytes. */
export const size = scalar<number>({
  kind: 'size',
  schema: { type: 'integer', minimum: sizeUnit, multipleOf: sizeUnit },
  parse: (value) => {
    const bytes = sizeOf(value.text);
    return bytes === undefined
      ? badValue(value, `'${value.text}' is not a size`, 'Write 512M or 4G.')
      : ok(bytes);
  },
  show: showSize,
  json: (value) => value,
});

/** A UUID, in lower case with dashes, or one of some words. */
export function uuidOr<const W extends string>(words: readonly W[]): Codec<string | W, string> {
  return scalar<string>({
    kind: ['UUID', ...words].join(' or '),
    schema: { type: 'string' },
    parse: (value) => {
      if (words.some((word) => word === value.text)) return ok(value.text);
      const digits = value.text.toLowerCase().replace(/urn:|uuid:|^[{}]+|[{}]+$|-/g, '');
      if (!/^[0-9a-f]{32}$/.test(digits)) {
        return badValue(
          value,
          `'${value.text}' is not a UUID`,
          `Write a UUID${words.map((w) => ` or ${w}`).join('')}.`,
        );
      }
      return ok(digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
    },
    show: (value) => value,
    json: (value) => value,
  });
}

export interface Password {
  /** The value is a crypt(3) hash. */
  readonly hashed: boolean;
  readonly value: string;
}

const hashPrefix = 'hashed:';

/** What is shown in place of a secret. */
export const redacted = '***';

/** A password in clear, or `hashed:` and its hash. */
export const password = scalar<Password>({
  kind: 'password',
  redact: ({ hashed }) => ({ hashed, value: redacted }),
  schema: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'boolean' }] },
  parse: ({ text: given }) =>
    ok(
      given.startsWith(hashPrefix)
        ? { hashed: true, value: given.slice(hashPrefix.length) }
        : { hashed: false, value: given },
    ),
  show: ({ hashed, value }) => (hashed ? `${hashPrefix}${value}` : value),
  json: ({ hashed, value }) => [value, hashed],
});
