/** One alternative of a dependency. */
export interface Alternative {
  readonly name: string;
  /** Architecture qualifier (`any`, `native`, a name), as in `python3:any`. */
  readonly qualifier?: string;
}

const alternativePattern = /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?/;

/**
 * Reads a relation field (Depends, Pre-Depends, Provides ...) into its groups of alternatives. Versions are left out:
 * apt has already chosen packages that satisfy them.
 */
export function parseRelations(field: string | undefined): Alternative[][] {
  const groups: Alternative[][] = [];
  for (const group of (field ?? '').split(',')) {
    const alternatives = group.split('|').flatMap((text) => {
      const match = alternativePattern.exec(text.trim());
      if (match?.[1] === undefined) return [];
      return [match[2] === undefined ? { name: match[1] } : { name: match[1], qualifier: match[2] }];
    });
    if (alternatives.length > 0) groups.push(alternatives);
  }
  return groups;
}
