import { modulePathWithoutSuffix } from '../../formats/kmod.ts';

/** A module's path as patterns see it: `_` replaced by `-`, without `.ko` and what follows. */
export interface MatchedPath {
  /** From usr/lib/modules/VERSION on, with a leading slash. */
  readonly path: string;
  readonly file: string;
}

/** A pattern of KernelInitrdModules=, other than the words `default` and `host`. */
export interface ModulePattern {
  /** As the user wrote it, or as the table has it. */
  readonly text: string;
  readonly exclude: boolean;
  matches(path: MatchedPath): boolean;
}

export function matchedPath(path: string): MatchedPath {
  const plain = modulePathWithoutSuffix(path).replaceAll('_', '-');
  return { path: `/${plain}`, file: plain.slice(plain.lastIndexOf('/') + 1) };
}

/**
 * One pattern, with mkosi's meaning: `-` in front excludes; `_` and `-` are the same; `*` also matches `/`; without a slash
 * it matches the file's name, with one it matches from any path element on, with one in front from `kernel/` or
 * usr/lib/modules/VERSION/ on; with one at the end everything below that directory.
 */
export function modulePattern(text: string): ModulePattern {
  const exclude = text.startsWith('-');
  const body = (exclude ? text.slice(1) : text).replaceAll('_', '-');
  return {
    text,
    exclude,
    matches: matcherOf(modulePathWithoutSuffix(body.endsWith('/') ? `${body}*` : body)),
  };
}

function matcherOf(glob: string): (path: MatchedPath) => boolean {
  if (!glob.includes('/')) {
    if (!/[*?[]/.test(glob)) return ({ file }) => file === glob;
    const name = new RegExp(`^${globSource(glob)}$`, 's');
    return ({ file }) => name.test(file);
  }
  const start = glob.startsWith('/') ? '^(/kernel)?' : '/';
  const expression = new RegExp(`${start}${globSource(glob)}$`, 's');
  return ({ path }) => expression.test(path);
}

/** fnmatch(3) without FNM_PATHNAME as the source of a regular expression. */
export function globSource(glob: string): string {
  let source = '';
  for (let index = 0; index < glob.length; index++) {
    const character = glob.charAt(index);
    const end = character === '[' ? glob.indexOf(']', index + (glob[index + 1] === '!' ? 3 : 2)) : -1;
    if (character === '*') source += '.*';
    else if (character === '?') source += '.';
    else if (end > 0) {
      source += setSource(glob.slice(index + 1, end));
      index = end;
    } else source += character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  }
  return source;
}

/** What stands between brackets; a range that ends before it begins holds nothing, as with fnmatch(3). */
function setSource(set: string): string {
  const negated = set.startsWith('!');
  const body = negated ? set.slice(1) : set;
  const items: string[] = [];
  for (let index = 0; index < body.length; index++) {
    const [first, last] = [body.charAt(index), body.charAt(index + 2)];
    if (body.charAt(index + 1) !== '-' || last === '') {
      items.push(escaped(first));
      continue;
    }
    if (first <= last) items.push(`${escaped(first)}-${escaped(last)}`);
    index += 2;
  }
  return `[${negated ? '^' : ''}${items.join('')}]`;
}

function escaped(character: string): string {
  return character.replace(/[\\\]^[-]/g, '\\$&');
}
