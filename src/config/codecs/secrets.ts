import type { Result } from '../../base/diagnostic.ts';
import { ok } from '../../base/diagnostic.ts';
import type { Codec, ParseContext } from '../codec.ts';
import { badValue, scalar } from '../codec.ts';
import type { TracedText } from '../traced-text.ts';
import { absolutePath, asItem, asSecret, parsePath } from './paths.ts';
import { redacted } from './scalars.ts';

/** The PIN of a PKCS#11 URI (RFC 7512), as an attribute of its path or of its query. */
const pin = /(\bpin-value=)[^;&?]*/g;

function withoutPin(text: string): string {
  return text.replace(pin, `$1${redacted}`);
}

interface KeyOptions {
  /** Others must not be able to read the file. */
  readonly secret: boolean;
}

/** A file with a key or certificate, or what an OpenSSL engine or provider knows it by: text that names no file. */
function keyMaterial({ secret }: KeyOptions): Codec<string, string> {
  return scalar<string>({
    kind: 'path or URI',
    schema: { type: 'string' },
    redact: withoutPin,
    fromFile: secret ? asSecret : asItem,
    parse: (value, context) => parseMaterial(value, context, secret),
    show: (value) => value,
    json: (value) => value,
  });
}

function parseMaterial(value: TracedText, context: ParseContext, secret: boolean): Result<string> {
  const exists = context.files.stat(absolutePath(value.text, context)) !== undefined;
  return exists ? parsePath(value, context, { secret }) : ok(value.text);
}

export const privateKey = keyMaterial({ secret: true });
export const certificate = keyMaterial({ secret: false });

/** Where OpenSSL finds a key or certificate. */
export interface KeySource<T extends string = 'file' | 'engine' | 'provider'> {
  readonly type: T;
  /** Name of the engine or provider; empty for files. */
  readonly source: string;
}

function source<const T extends string>(types: readonly T[]): Codec<KeySource<T>, KeySource<T>> {
  const show = ({ type, source }: KeySource<T>): string => (source === '' ? type : `${type}:${source}`);
  return scalar<KeySource<T>>({
    kind: types.map((type) => (type === 'file' ? type : `${type}:NAME`)).join(' or '),
    schema: {
      type: 'object',
      properties: { Type: { enum: [...types] }, Source: { type: 'string' } },
      required: ['Type', 'Source'],
    },
    redact: ({ type, source }) => ({ type, source: withoutPin(source) }),
    parse: (value) => {
      const [, word, name = ''] = /^([^:]*)(?::(.*))?$/s.exec(value.text) ?? [];
      const type = types.find((known) => known === word);
      return type === undefined
        ? badValue(value, `'${value.text}' is not a source of keys`, `Known: ${types.join(', ')}.`)
        : ok({ type, source: name });
    },
    show,
    json: ({ type, source }) => ({ Type: type, Source: source }),
  });
}

export const keySource = source(['file', 'engine', 'provider']);
export const certificateSource = source(['file', 'provider']);

/** A URL, shown without the password that may stand before the host's name. */
export const url = scalar<string>({
  kind: 'URL',
  schema: { type: 'string' },
  redact: (value) => value.replace(/^([a-z][a-z\d+.-]*:\/\/[^/@:]*):[^/@]*@/i, `$1:${redacted}@`),
  parse: (value) => ok(value.text),
  show: (value) => value,
  json: (value) => value,
});
