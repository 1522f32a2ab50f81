/** Settings of os-release(5) that an image builder adds. */
export interface OsReleaseAdditions {
  readonly IMAGE_ID?: string;
  readonly IMAGE_VERSION?: string;
  readonly DEFAULT_HOSTNAME?: string;
}

/**
 * os-release(5) with these settings: lines that assign them are replaced where they stand, others are added at the end.
 * Every other line stays byte for byte, comments included.
 */
export function withOsRelease(text: string, additions: OsReleaseAdditions): string {
  const pending = new Map(
    Object.entries(additions).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
  const written = new Set<string>();
  const lines: string[] = [];
  const old = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  for (const line of old) {
    const name = /^([A-Z0-9_]+)=/.exec(line)?.[1];
    const value = name === undefined ? undefined : pending.get(name);
    if (name === undefined || value === undefined) {
      lines.push(line);
    } else if (!written.has(name)) {
      // Of two assignments the last one counts, so a second one must not survive.
      written.add(name);
      lines.push(assignment(name, value));
    }
  }
  for (const [name, value] of pending) {
    if (!written.has(name)) lines.push(assignment(name, value));
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** Quoted always: values with more than letters and digits need it, and readers take both forms. */
function assignment(name: string, value: string): string {
  return `${name}="${value.replace(/["\\$`]/g, '\\$&')}"`;
}
