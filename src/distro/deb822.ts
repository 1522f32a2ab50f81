/**
 * One stanza of a Debian control file (deb822(5)): field names in lower case, values with their continuation lines,
 * each without its leading blank. A line that holds only `.` stands for an empty one and is kept as it is.
 */
export type Stanza = ReadonlyMap<string, string>;

/** Reads every stanza of a control file. Lines that begin with `#` are comments; malformed lines are skipped. */
export function parseStanzas(text: string): Stanza[] {
  const stanzas: Stanza[] = [];
  let fields = new Map<string, string>();
  let current: string | undefined;
  const finish = (): void => {
    if (fields.size > 0) stanzas.push(fields);
    fields = new Map();
    current = undefined;
  };
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      finish();
    } else if (line.startsWith(' ') || line.startsWith('\t')) {
      if (current !== undefined)
        fields.set(current, `${fields.get(current) ?? ''}\n${line.slice(1).trimEnd()}`);
    } else {
      const colon = line.indexOf(':');
      current = colon > 0 ? line.slice(0, colon).toLowerCase() : undefined;
      if (current !== undefined) fields.set(current, line.slice(colon + 1).trim());
    }
  }
  finish();
  return stanzas;
}

/** Writes stanzas with the given field names and order. Empty lines inside a value become `.`. */
export function formatStanzas(stanzas: readonly (readonly (readonly [string, string])[])[]): string {
  return stanzas
    .map((fields) => fields.map(([name, value]) => `${name}: ${formatValue(value)}\n`).join(''))
    .join('\n');
}

/** The words of a value, separated by any white space. */
export function words(value: string | undefined): string[] {
  return (value ?? '').split(/\s+/).filter((word) => word !== '');
}

function formatValue(value: string): string {
  return value
    .split('\n')
    .map((line, index) => (index === 0 ? line : ` ${line === '' ? '.' : line}`))
    .join('\n');
}
