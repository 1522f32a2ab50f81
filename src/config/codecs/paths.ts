import { basename, dirname, join, posix, resolve } from 'node:path';
import picomatch from 'picomatch';
import type { HostPath, TreePath } from '../../base/brand.ts';
import { hostPath, treePath } from '../../base/brand.ts';
import type { Origin, Result } from '../../base/diagnostic.ts';
import { fail, ok } from '../../base/diagnostic.ts';
import type { Codec, Entry, ParseContext } from '../codec.ts';
import { badValue, scalar } from '../codec.ts';
import type { TracedText } from '../traced-text.ts';
import { slice } from '../traced-text.ts';

export interface PathOptions {
  /** It must be there when the configuration is read. */
  readonly mustExist?: boolean;
  /** It must be a directory, where it is there. */
  readonly directory?: boolean;
  /** It must be none of others' business, where it is there. */
  readonly secret?: boolean;
  /** No path below this one. */
  readonly outside?: string;
}

/** Makes a path absolute: `~`, `$NAME` and `${NAME}` are replaced, relative ones count from the context's directory. */
export function absolutePath(text: string, context: ParseContext): HostPath {
  const { environment, directory } = context;
  const expanded = expandVariables(text, context);
  const home = environment['HOME'];
  const withHome = home === undefined ? expanded : expanded.replace(/^~(?=\/|$)/, home);
  return hostPath(resolve(directory, withHome));
}

/** Replaces `$NAME` and `${NAME}` by what the caller's variables say; those that are not set stay as they are. */
function expandVariables(text: string, { environment }: Pick<ParseContext, 'environment'>): string {
  return text.replace(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (whole, braced: string | undefined, plain: string | undefined) =>
      environment[braced ?? plain ?? ''] ?? whole,
  );
}

/** Reads a path, checking what is asked for. */
export function parsePath(value: TracedText, context: ParseContext, options: PathOptions): Result<HostPath> {
  const path = absolutePath(value.text, context);
  const { mustExist, secret, outside } = options;
  if (outside !== undefined && (path === outside || path.startsWith(`${outside}/`))) {
    return badValue(value, `${path} lies below ${outside}`, `Name a directory outside of ${outside}.`);
  }
  if (mustExist !== true && secret !== true) return ok(path);
  const facts = context.files.stat(path);
  if (facts === undefined) return mustExist === true ? missingFile(value, path, context) : ok(path);
  if (options.directory === true && !facts.directory)
    return badValue(value, `${value.text} is not a directory`, 'Name the directory that it is in.');
  return secret === true && facts.openToOthers ? openToOthers(value.origin(), path) : ok(path);
}

function openToOthers(origin: Origin, path: HostPath): ReturnType<typeof fail> {
  return fail({
    severity: 'error',
    code: 'secret-open-to-others',
    message: 'other users can read this secret',
    origin,
    hint: `Run chmod 600 ${path}.`,
  });
}

export function missingFile(
  value: TracedText,
  path: HostPath,
  context: ParseContext,
): ReturnType<typeof fail> {
  const relative = value.text.startsWith('/') ? '' : ` (relative paths count from ${context.directory})`;
  return fail({
    severity: 'error',
    code: 'missing-file',
    message: `${value.text} does not exist`,
    origin: value.origin(),
    hint: `Looked for ${path}${relative}.`,
  });
}

/** A path on the host. */
export function path(options: PathOptions = {}): Codec<HostPath, HostPath> {
  return scalar<HostPath>({
    kind: 'path',
    schema: { type: 'string' },
    fromFile: options.secret === true ? asSecret : asItem,
    parse: (value, context) => parsePath(value, context, options),
    show: (value) => value,
    json: (value) => value,
  });
}

/** A path on the host, or one of some words; boolean words can stand for them. */
export function pathOr<const W extends string>(
  words: Readonly<Record<string, W>>,
  options: PathOptions = {},
): Codec<HostPath | W, HostPath | W> {
  return scalar<HostPath | W>({
    kind: ['path', ...new Set(Object.values(words))].join(' or '),
    schema: { type: 'string' },
    fromFile: asItem,
    parse: (value, context) => {
      const word = Object.hasOwn(words, value.text) ? words[value.text] : undefined;
      return word === undefined ? parsePath(value, context, options) : ok(word);
    },
    show: (value) => value,
    json: (value) => value,
  });
}

/** The file itself is the item. */
export function asItem(path: HostPath, origin: Origin): Result<readonly Entry<HostPath>[]> {
  return ok([{ value: path, origin }]);
}

/** As `asItem`, for files that others must not read. */
export function asSecret(
  path: HostPath,
  origin: Origin,
  context: ParseContext,
): Result<readonly Entry<HostPath>[]> {
  return context.files.stat(path)?.openToOthers === true ? openToOthers(origin, path) : asItem(path, origin);
}

/** A path inside of an image. */
export const imagePath = scalar<string>({
  kind: 'absolute path in the image',
  schema: { type: 'string', pattern: '^/' },
  parse: (value) =>
    value.text.startsWith('/') && !value.text.split('/').includes('..')
      ? ok(posix.normalize(value.text))
      : badValue(
          value,
          `'${value.text}' is not an absolute path`,
          'Write a path that begins with / and has no `..`.',
        ),
  show: (value) => value,
  json: (value) => value,
});

/** A path that stands for all that its wildcards match, sorted; without wildcards it must exist. */
export function expandGlob(value: TracedText, context: ParseContext): Result<readonly HostPath[]> {
  const pattern = absolutePath(value.text, context);
  if (!/[*?[]/.test(pattern)) {
    return context.files.stat(pattern) === undefined ? missingFile(value, pattern, context) : ok([pattern]);
  }
  return ok(matching(dirname(pattern), basename(pattern), context).map(hostPath));
}

function matching(directory: string, pattern: string, context: ParseContext): string[] {
  const parents = /[*?[]/.test(directory)
    ? matching(dirname(directory), basename(directory), context)
    : [directory];
  const matches = picomatch(pattern);
  return parents.flatMap((parent) =>
    context.files
      .list(parent)
      .filter((name) => matches(name))
      .map((name) => join(parent, name)),
  );
}

/** A host file or directory and the place where it goes. */
export interface Tree {
  readonly source: HostPath;
  /** Empty for the root. */
  readonly target: TreePath;
  /** The target was written with a slash before it, where this is not a matter of course. */
  readonly rooted?: true;
  /** The root was written as the target (`src:`, `src:.`), where this is not a matter of course. */
  readonly here?: true;
}

export interface TreeOptions extends PathOptions {
  /** Targets are absolute paths in the image. */
  readonly absolute: boolean;
}

/** Reads `source[:target]`. */
export function parseTree(value: TracedText, context: ParseContext, options: TreeOptions): Result<Tree> {
  const colon = value.text.indexOf(':');
  const source = parsePath(colon < 0 ? value : slice(value, 0, colon), context, options);
  if (!source.ok) return source;
  const target = colon < 0 ? '' : expandVariables(value.text.slice(colon + 1), context);
  if (target.split('/').includes('..')) {
    return badValue(
      slice(value, colon + 1),
      `'${target}' leads out of the tree`,
      'Write a path without `..`.',
    );
  }
  if (options.absolute && colon >= 0 && !target.startsWith('/')) {
    const hint = `Write it with a slash before it: ${value.text.slice(0, colon)}:/${target}.`;
    return badValue(slice(value, colon + 1), `'${target}' is not an absolute path`, hint);
  }
  return ok({ source: source.value, ...placeOf(target, { isWritten: colon >= 0, options }) });
}

function placeOf(
  target: string,
  { isWritten, options }: { readonly isWritten: boolean; readonly options: TreeOptions },
): Omit<Tree, 'source'> {
  const path = treePath(target);
  const rooted = target.startsWith('/') && (path === '' || !options.absolute);
  const here = isWritten && path === '' && !rooted;
  return { target: path, ...(rooted && { rooted }), ...(here && { here }) };
}
