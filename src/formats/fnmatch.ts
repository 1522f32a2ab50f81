/**
 * fnmatch(3) without flags: `*` and `?` match any character, `/` too; `[a-z]` and `[!a-z]` are sets, a bracket without an end
 * is itself. Takes time in proportion to both lengths at most, whatever the pattern.
 */
export function fnmatch(pattern: string, text: string): boolean {
  let at = 0;
  let place = 0;
  let starAt = -1;
  let starPlace = 0;
  while (place < text.length) {
    if (pattern[at] === '*') {
      starAt = at++;
      starPlace = place;
      continue;
    }
    const width = matchOne(pattern, at, text.charAt(place));
    if (width > 0) {
      at += width;
      place += 1;
      continue;
    }
    if (starAt < 0) return false;
    // The last star takes one character more; earlier ones never need to.
    at = starAt + 1;
    place = ++starPlace;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** Length of the element of the pattern that matches one character; 0 when it does not. */
function matchOne(pattern: string, at: number, character: string): number {
  const first = pattern[at];
  if (first === '?') return 1;
  const end = first === '[' ? setEnd(pattern, at) : -1;
  if (end < 0) return first === character ? 1 : 0;
  const isNegated = pattern[at + 1] === '!';
  const isIn = isInSet(pattern.slice(at + (isNegated ? 2 : 1), end), character);
  return isIn === isNegated ? 0 : end + 1 - at;
}

/** Where the set that begins at `at` ends; -1 when it does not. */
function setEnd(pattern: string, at: number): number {
  return pattern.indexOf(']', at + (pattern[at + 1] === '!' ? 3 : 2));
}

/** True when a text that matches the pattern with something more behind it may begin like this one. */
export function fnmatchBeginning(pattern: string, text: string): boolean {
  const lastSet = pattern.lastIndexOf('[');
  const isOpen = lastSet >= 0 && setEnd(pattern, lastSet) < 0;
  return fnmatch(`${isOpen ? pattern.slice(0, lastSet) : pattern}*`, text);
}

function isInSet(set: string, character: string): boolean {
  for (let index = 0; index < set.length; index++) {
    const low = set.charAt(index);
    const isRange = set[index + 1] === '-' && index + 2 < set.length;
    const high = isRange ? set.charAt(index + 2) : low;
    if (low <= character && character <= high) return true;
    if (isRange) index += 2;
  }
  return false;
}
