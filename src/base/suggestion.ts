import { distance } from 'fastest-levenshtein';

/**
 * The candidate that a mistyped word most likely meant, compared without regard to case; undefined when none is near.
 * Ties go to the candidate that stands first.
 */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  let best: { name: string; steps: number } | undefined;
  for (const name of candidates) {
    const steps = distance(lower, name.toLowerCase());
    if (best === undefined || steps < best.steps) best = { name, steps };
  }
  if (best === undefined) return undefined;
  const tolerated = Math.max(1, Math.floor(Math.max(word.length, best.name.length) / 3));
  return best.steps <= tolerated ? best.name : undefined;
}
