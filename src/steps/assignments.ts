/**
 * A text of shell-like assignments, as os-release(5), locale.conf(5) and vconsole.conf(5) have it, with these values: lines
 * that assign them are replaced where they stand, others are added at the end; undefined ones are left alone. Every other
 * line stays byte for byte, comments included.
 */
export function withAssignments(text: string, values: Readonly<Record<string, string | undefined>>): string {
  const pending = new Map(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
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
