import type { HostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';

export interface EnvironmentFile {
  readonly variables: Readonly<Record<string, string>>;
  readonly faults: readonly Diagnostic[];
}

/**
 * Reads `NAME=VALUE` lines as systemd's EnvironmentFile= does: blank lines and those that begin with `#` or `;` do not
 * count, quotes around a whole value are dropped.
 */
export function parseEnvironmentFile(file: HostPath, content: string): EnvironmentFile {
  const variables: Record<string, string> = {};
  const faults: Diagnostic[] = [];
  content.split(/\r?\n/).forEach((line, index) => {
    const text = line.trim();
    if (text === '' || text.startsWith('#') || text.startsWith(';')) return;
    const [, name, value] = /^(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)$/.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      const column = line.length - line.trimStart().length + 1;
      faults.push({
        severity: 'error',
        code: 'bad-environment-line',
        message: 'this is not NAME=VALUE',
        origin: { kind: 'file', span: { file, line: index + 1, column, length: text.length } },
      });
      return;
    }
    variables[name] = /^(["'])(.*)\1$/.exec(value)?.[2] ?? value;
  });
  return { variables, faults };
}
