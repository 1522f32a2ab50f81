/** Where nothing is that set-up without maintainer scripts reads, but for one directory. */
const unread = /^\/usr\/(?:share|lib)\/(?!debianutils$)/;

/**
 * A test for what need not be unpacked, because the pattern of a later removal names it or a directory above it. Only patterns
 * below /usr/share and /usr/lib count, where packages keep what is no program; `**` and sets of characters are left for later.
 * Pure.
 * @param patterns of RemoveFiles=
 */
export function leftOutEarly(patterns: readonly string[]): (place: string) => boolean {
  const usable = patterns.filter((pattern) => unread.test(pattern) && !/\*\*|[[\]?\\]|\/$/.test(pattern));
  const literal = new Set(
    usable.filter((pattern) => !pattern.includes('*')).map((pattern) => pattern.slice(1)),
  );
  const wild = usable.filter((pattern) => pattern.includes('*')).map(expression);
  const isWild = wild.length === 0 ? undefined : new RegExp(`^(?:${wild.join('|')})(?:/|$)`);
  return (place) => {
    for (let end = place.length; end > 0; end = place.lastIndexOf('/', end - 1))
      if (literal.has(place.slice(0, end))) return true;
    return isWild?.test(place) === true;
  };
}

function expression(pattern: string): string {
  return pattern
    .slice(1)
    .split('*')
    .map((text) => text.replace(/[.+^$|(){}]/g, '\\$&'))
    .join('[^/]*');
}
