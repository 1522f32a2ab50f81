import { basename, join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Origin, Result } from '../../base/diagnostic.ts';
import { fail, ok } from '../../base/diagnostic.ts';
import type { Codec, Entry, ParseContext } from '../codec.ts';
import { badValue, parseEach } from '../codec.ts';
import type { TracedText } from '../traced-text.ts';
import { slice, split } from '../traced-text.ts';
import { absolutePath, missingFile, parsePath } from './paths.ts';
import { redacted, showSize, sizeOf } from './scalars.ts';
import { quoteWord, splitWords } from './words.ts';

/** A credential for systemd in the guest: its text, or the file that holds it. */
export type Credential = { readonly value: string } | { readonly file: HostPath };
export type NamedCredential = readonly [name: string, credential: Credential];

/** `name=value` words quoted as in a shell, files (named like the credential) and directories of such files. */
export const credentials: Codec<Readonly<Record<string, Credential>>, NamedCredential> = {
  kind: 'list of NAME=VALUE or files, quoted as in a shell',
  merge: 'assign',
  redact: (value) =>
    Object.fromEntries(
      Object.entries(value).map(([name, credential]): NamedCredential => [
        name,
        'file' in credential ? credential : { value: redacted },
      ]),
    ),
  fromFile: credentialFiles,
  schema: { type: 'array', items: { type: 'object' } },
  parse: (text, context) => {
    const words = splitWords(text);
    if (words === undefined) return badValue(text, 'a quote is not closed');
    const parsed = parseEach(words, (word) => parseCredential(word, context));
    return parsed.ok ? ok(parsed.value.flat()) : parsed;
  },
  collect: (items) => Object.fromEntries(items),
  items: (value) => Object.entries(value),
  show: (value) =>
    Object.entries(value)
      .map(([name, credential]) =>
        quoteWord('file' in credential ? credential.file : `${name}=${credential.value}`),
      )
      .join(' '),
  label: ([name]) => name,
  json: (value) =>
    Object.entries(value).map(([name, credential]) => ({
      Name: name,
      Value: 'file' in credential ? null : credential.value,
      Path: 'file' in credential ? credential.file : null,
    })),
};

function parseCredential(word: TracedText, context: ParseContext): Result<readonly Entry<NamedCredential>[]> {
  const equals = word.text.indexOf('=');
  if (equals === 0) return badValue(word, `'${word.text}' has no name before '='`, 'Write NAME=VALUE.');
  if (equals > 0) {
    const value = word.text.slice(equals + 1);
    return ok([{ value: [word.text.slice(0, equals), { value }], origin: word.origin() }]);
  }
  const path = absolutePath(word.text, context);
  if (context.files.stat(path) === undefined) return missingFile(word, path, context);
  return credentialFiles(path, word.origin(), context);
}

function credentialFiles(
  path: HostPath,
  origin: Origin,
  context: ParseContext,
): Result<readonly Entry<NamedCredential>[]> {
  const { files } = context;
  const paths =
    files.stat(path)?.directory === true ? files.list(path).map((name) => join(path, name)) : [path];
  return parseEach(paths, (file) => credentialFile(file, origin, context));
}

function credentialFile(file: string, origin: Origin, context: ParseContext): Result<Entry<NamedCredential>> {
  if (context.files.stat(file)?.executable === true) {
    return fail({
      severity: 'error',
      code: 'executable-value',
      message: `${file} is a program; mkimg does not run programs to read credentials yet`,
      origin,
      hint: 'Store its output in the file and make it not executable.',
    });
  }
  return ok({ value: [basename(file), { file: hostPath(file) }], origin });
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
  parse: (text, context) =>
    parseEach(split(text, /\s+/g), (word) => {
      const drive = parseDrive(word, context);
      return drive.ok ? ok({ value: drive.value, origin: word.origin() }) : drive;
    }),
  collect: (items) => items,
  items: (value) => value,
  show: (value) => value.map(showDrive).join(' '),
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
  const size = sizeOf(sizeField.text);
  if (size === undefined) return badValue(sizeField, `'${sizeField.text}' is not a size`, driveHint);
  if (flags.text !== '' && flags.text !== 'persist') {
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
    flags: flags.text === '' ? [] : ['persist'],
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
