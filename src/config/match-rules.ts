import picomatch from 'picomatch';
import { treePath } from '../base/brand.ts';
import { fail, ok } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import type { KnownArchitecture } from '../distro/architectures/index.ts';
import { architectureNames, hasUefi, laterArchitectures } from '../distro/architectures/index.ts';
import type { Tree } from './codecs/paths.ts';
import type { Feature } from './codecs/scalars.ts';
import { feature, parseFileName } from './codecs/scalars.ts';
import type { MatchRule } from './setting.ts';
import type { TracedText } from './traced-text.ts';
import { conditionOf, satisfies } from './version-condition.ts';

/** Holds for the same text; unset matches nothing. */
export const sameText: MatchRule<string | undefined> = (value, condition) => ok(value === condition.text);

/** Holds for the same word; a word outside of the set is a fault. */
export function sameWord<T extends string>(words: readonly string[]): MatchRule<T> {
  return (value, condition) =>
    words.includes(condition.text) ? ok(value === condition.text) : unknownWord(condition, words);
}

/** The condition is a pattern with wildcards, compared with regard to case. */
export const glob: MatchRule<string | undefined> = (value, condition) =>
  ok(
    value !== undefined && condition.text !== '' && picomatch.isMatch(value, condition.text, plainWildcards),
  );

/** As fnmatch(3) has them; braces and parentheses stand for themselves. */
const plainWildcards = { dot: true, bash: true, posix: true, nobrace: true, noextglob: true, nonegate: true };

/** The condition is a version, with one of `== != >= <= > <` before it; without one it stands for `==`. */
export const version: MatchRule<string | undefined> = (value, condition) =>
  ok(value !== undefined && satisfies(value, conditionOf(condition.text)));

/** Holds if the list has the item; the empty condition holds for the empty list. */
export const member: MatchRule<readonly string[]> = (value, condition) =>
  ok(condition.text === '' ? value.length === 0 : value.includes(condition.text));

/** As `member`, for names that are parts of the names of files. */
export const profileMember: MatchRule<readonly string[]> = (value, condition, context) => {
  const name = condition.text === '' ? ok('') : parseFileName(condition);
  return name.ok ? member(value, condition, context) : name;
};

/** `uefi` stands for every architecture with UEFI. */
export const architecture: MatchRule<KnownArchitecture> = (value, condition) => {
  if (condition.text === 'uefi') return ok(hasUefi(value));
  const words: readonly string[] = [...architectureNames, ...laterArchitectures, 'uefi'];
  return words.includes(condition.text) ? ok(value === condition.text) : unknownWord(condition, words);
};

export const sameFeature: MatchRule<Feature> = (value, condition, context) => {
  const wanted = feature.parse(condition, context);
  return wanted.ok ? ok(wanted.value[0]?.value === value) : wanted;
};

/** `KEY` holds if the key is set, `KEY=VALUE` if it has this value. */
export const variable: MatchRule<Readonly<Record<string, string>>> = (value, condition) => {
  const equals = condition.text.indexOf('=');
  const key = equals < 0 ? condition.text : condition.text.slice(0, equals);
  const set = Object.hasOwn(value, key) ? value[key] : undefined;
  return ok(equals < 0 ? set !== undefined : set === condition.text.slice(equals + 1));
};

/** Holds if a tree goes to this place, which is written without a slash before it. */
export const treeTarget: MatchRule<readonly Tree[]> = (value, condition) => {
  const wanted = treePath(condition.text);
  const isThere = ({ target, rooted, here }: Tree): boolean =>
    target === wanted && rooted !== true && (target !== '' || here === true);
  return ok(value.some(isThere));
};

function unknownWord(condition: TracedText, words: readonly string[]): ReturnType<typeof fail> {
  const near = closest(condition.text, words);
  return fail({
    severity: 'error',
    code: 'bad-value',
    message: `'${condition.text}' is not a known value`,
    origin: condition.origin(),
    hint: near === undefined ? `Known: ${words.join(', ')}.` : `Did you mean '${near}'?`,
  });
}
