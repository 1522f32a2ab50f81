import { basename, join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Origin, Result } from '../../base/diagnostic.ts';
import { ok } from '../../base/diagnostic.ts';
import type { Codec, Entry, ParseContext } from '../codec.ts';
import { badValue, parseEach, scalar } from '../codec.ts';
import type { TracedText } from '../traced-text.ts';
import { slice } from '../traced-text.ts';
import { absolutePath, missingFile, parsePath } from './paths.ts';
import { parseFileName, redacted, showSize, sizeOf } from './scalars.ts';
import { quoteItem, quoteWord, splitList, splitWords } from './words.ts';

/** A credential for systemd in the guest: its text, or the file that holds it. */
export type Credential = { readonly name: string } & (
  { readonly value: string } | { readonly file: HostPath }
);

/**
 * `name=value` words quoted as in a shell, files (named like the credential) and directories of such files. Of credentials
 * with the same name the last one counts.
 */
export const credentials: Codec<readonly Credential[], Credential> = {
  kind: 'list of NAME=VALUE or files, quoted as in a shell',
  merge: 'append',
  redact: (value) =>
    value.map((credential) => ('file' in credential ? credential : { ...credential, value: redacted })),
  fromFile: (path, origin, context) => ok(credentialFiles(path, origin, context)),
  schema: {
    type: 'array',
    items: {
      type: 'object',
      properties: {
        Name: { type: 'string' },
        Value: { type: ['string', 'null'] },
        Path: { type: ['string', 'null'] },
      },
      required: ['Name'],
    },
  },
  parse: (text, context) => {
    const whole = absolutePath(text.text, context);
    if (!text.text.includes('=') && context.files.stat(whole) !== undefined) {
      return ok(credentialFiles(whole, text.origin(), context));
    }
    const words = splitWords(text);
    if (words === undefined) return badValue(text, 'a quote is not closed');
    const parsed = parseEach(words, (word) => parseCredential(word, context));
    return parsed.ok ? ok(parsed.value.flat()) : parsed;
  },
  collect: (items) => items,
  items: (value) => value,
  show: (value) =>
    value
      .map((credential) =>
        quoteWord('file' in credential ? credential.file : `${credential.name}=${credential.value}`),
      )
      .join(' '),
  label: ({ name }) => name,
  json: (value) =>
    value.map((credential) => ({
      Name: credential.name,
      Value: 'file' in credential ? null : credential.value,
      Path: 'file' in credential ? credential.file : null,
    })),
};

function parseCredential(word: TracedText, context: ParseContext): Result<readonly Entry<Credential>[]> {
  const equals = word.text.indexOf('=');
  if (equals === 0) return badValue(word, `'${word.text}' has no name before '='`, 'Write NAME=VALUE.');
  if (equals > 0) {
    const name = word.text.slice(0, equals);
    return ok([{ value: { name, value: word.text.slice(equals + 1) }, origin: word.origin() }]);
  }
  const path = absolutePath(word.text, context);
  if (context.files.stat(path) === undefined) return missingFile(word, path, context);
  return ok(credentialFiles(path, word.origin(), context));
}

function credentialFiles(
  path: HostPath,
  origin: Origin,
  { files }: ParseContext,
): readonly Entry<Credential>[] {
  const paths =
    files.stat(path)?.directory === true
      ? files
          .list(path)
          .map((name) => join(path, name))
          .filter((file) => files.stat(file)?.directory === false)
      : [path];
  return paths.map((file) => ({ value: { name: basename(file), file: hostPath(file) }, origin }));
}

/** A further disk of the virtual machine. */
export interface Drive {
  readonly id: string;
  /** Bytes. */
  readonly size: number;
  /** Where its file lies; undefined for a temporary place. */
  readonly directory: HostPath | undefined;
  /** For QEMU's -blockdev. */
  readonly options: string | undefined;
  /** Drives of the same file id share one file. */
  readonly fileId: string;
  readonly flags: readonly 'persist'[];
}

/** `id:size[:directory[:options[:file id[:flags]]]]` words. */
export const drives: Codec<readonly Drive[], Drive> = {
  kind: 'list of id:size[:directory[:options[:fileid[:flags]]]]',
  merge: 'append',
  schema: { type: 'array', items: { type: 'object' } },
  parse: (text, context) => {
    const items = splitList(text, /\s/);
    if (items === undefined) return badValue(text, 'a quote is not closed');
    return parseEach(items, ({ text: word }) => {
      const drive = parseDrive(word, context);
      return drive.ok ? ok({ value: drive.value, origin: word.origin() }) : drive;
    });
  },
  collect: (items) => items,
  items: (value) => value,
  show: (value) => value.map((drive) => quoteItem(showDrive(drive), /\s/)).join(' '),
  label: ({ id }) => id,
  json: (value) =>
    value.map(({ id, size, directory, options, fileId, flags }) => ({
      Id: id,
      Size: size,
      Directory: directory ?? null,
      Options: options ?? null,
      FileId: fileId,
      Flags: flags,
    })),
};

const driveHint = 'Write id:size[:directory[:options[:fileid[:flags]]]], such as scratch:2G.';

function parseDrive(word: TracedText, context: ParseContext): Result<Drive> {
  const fields = driveFields(word);
  const { id, size: sizeField, directory: folder, options, fileId, flags } = fields;
  if (id.text === '' || fields.count > 6) return badValue(word, `'${word.text}' is not a drive`, driveHint);
  const name = parseFileName(id);
  if (!name.ok) return name;
  const size = sizeOf(sizeField.text);
  if (size === undefined) return badValue(sizeField, `'${sizeField.text}' is not a size`, driveHint);
  const words = flags.text === '' ? [] : flags.text.split(',');
  if (words.some((flag) => flag !== 'persist')) {
    return badValue(flags, `'${flags.text}' is not a flag`, 'Known: persist.');
  }
  const directory = folder.text === '' ? ok(undefined) : parsePath(folder, context, { mustExist: true });
  if (!directory.ok) return directory;
  return ok({
    id: id.text,
    size,
    directory: directory.value,
    options: options.text === '' ? undefined : options.text,
    fileId: fileId.text === '' ? id.text : fileId.text,
    flags: words.map(() => 'persist' as const),
  });
}

/** The parts between colons; those that are left out are empty. */
function driveFields(word: TracedText): Record<keyof Drive, TracedText> & { count: number } {
  const parts: TracedText[] = [];
  let start = 0;
  for (const part of word.text.split(':')) {
    parts.push(slice(word, start, start + part.length));
    start += part.length + 1;
  }
  const field = (index: number): TracedText => parts[index] ?? slice(word, word.text.length);
  return {
    count: parts.length,
    id: field(0),
    size: field(1),
    directory: field(2),
    options: field(3),
    fileId: field(4),
    flags: field(5),
  };
}

function showDrive({ id, size, directory, options, fileId, flags }: Drive): string {
  const parts = [
    id,
    showSize(size),
    directory ?? '',
    options ?? '',
    fileId === id ? '' : fileId,
    flags.join(','),
  ];
  while (parts.at(-1) === '') parts.pop();
  return parts.join(':');
}

/** CID of a virtual machine on the host's vsock(7): a number, one that is free, or one that follows from the image. */
export type VsockCid = number | 'auto' | 'hash';

/** What stands for the words in JSON; no CID is negative. */
const cidWords = { auto: -1, hash: -2 } as const;

export const vsockCid = scalar<VsockCid>({
  kind: 'number, auto or hash',
  schema: { type: 'integer', minimum: -2, maximum: 0xff_ff_ff_fe },
  choices: ['auto', 'hash'],
  parse: (value) => {
    const word = value.text;
    if (word === 'auto' || word === 'hash') return ok(word);
    const cid = /^\d{1,10}$/.test(word) ? Number(word) : 0;
    return cid < 3 || cid >= 0xff_ff_ff_ff
      ? badValue(value, `'${word}' is not a CID`, 'Write auto, hash or a number from 3 on.')
      : ok(cid);
  },
  show: String,
  json: (value) => (typeof value === 'number' ? value : cidWords[value]),
});
