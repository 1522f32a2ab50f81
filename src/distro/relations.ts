import type { VersionOperator } from './debian-version.ts';
import { parseOperator } from './debian-version.ts';

/** One alternative of a dependency. */
export interface Alternative {
  readonly name: string;
  /** Architecture qualifier (`any`, `native`, a name), as in `python3:any`. */
  readonly qualifier?: string;
}

/** One alternative with the versions that it accepts; in Provides=, the version that is provided. */
export interface VersionedAlternative extends Alternative {
  readonly version?: { readonly operator: VersionOperator; readonly wanted: string };
}

const alternativePattern = /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?/;
const versionPattern = /^\s*\(\s*([<>=]{1,2})\s*([^\s)]+)\s*\)/;

/**
 * Reads a relation field (Depends, Pre-Depends, Provides ...) into its groups of alternatives. Versions are left out:
 * apt has already chosen packages that satisfy them.
 */
export function parseRelations(field: string | undefined): Alternative[][] {
  return parseGroups(field, (text) => parseAlternative(text)?.alternative);
}

/** The same with versions, for who has to choose. */
export function parseVersionedRelations(field: string | undefined): VersionedAlternative[][] {
  return parseGroups(field, (text) => {
    const parsed = parseAlternative(text);
    if (parsed === undefined) return undefined;
    const [, sign = '', wanted] = versionPattern.exec(parsed.rest) ?? [];
    const operator = parseOperator(sign);
    if (operator === undefined || wanted === undefined) return parsed.alternative;
    return { ...parsed.alternative, version: { operator, wanted } };
  });
}

function parseGroups<T>(field: string | undefined, parse: (text: string) => T | undefined): T[][] {
  const groups: T[][] = [];
  for (const group of (field ?? '').split(',')) {
    const alternatives = group.split('|').flatMap((text) => parse(text.trim()) ?? []);
    if (alternatives.length > 0) groups.push(alternatives);
  }
  return groups;
}

function parseAlternative(text: string): { alternative: Alternative; rest: string } | undefined {
  const match = alternativePattern.exec(text);
  if (match?.[1] === undefined) return undefined;
  const alternative = match[2] === undefined ? { name: match[1] } : { name: match[1], qualifier: match[2] };
  return { alternative, rest: text.slice(match[0].length) };
}
