import { readFileSync } from 'node:fs';
import type { HostPath } from '../base/brand.ts';
import type { Diagnostic, Origin, Span } from '../base/diagnostic.ts';

/** Reads the text of a configuration file; undefined when it cannot be read any more. */
export type SourceReader = (file: HostPath) => string | undefined;

/**
 * Diagnostics as text for people, one after the other, each with `file:line:column`, the line itself, a squiggle below
 * the faulty part, related places and a hint. Ends with a newline unless there is none to show.
 */
export function formatDiagnostics(
  diagnostics: readonly Diagnostic[],
  read: SourceReader = readSource,
): string {
  return diagnostics.map((diagnostic) => `${formatDiagnostic(diagnostic, read)}\n`).join('');
}

/** The marked line of the first place, then further places with theirs; nothing for places that are no lines of a file. */
export function excerptOf(places: readonly Origin[], read: SourceReader = readSource): readonly string[] {
  return places.flatMap((origin, index) => {
    if (index > 0) return located('here as well', origin, read);
    return origin.kind === 'file' ? excerpt(origin.span, read) : [];
  });
}

/** Where a value came from, in the words of error messages; undefined for defaults. */
export function describeOrigin(origin: Origin): string | undefined {
  switch (origin.kind) {
    case 'file':
      return `${origin.span.file}:${origin.span.line}:${origin.span.column}`;
    case 'flag':
      return origin.text;
    case 'path':
      return origin.path;
    case 'inherited':
      return `image '${origin.image}'`;
    case 'default':
      return undefined;
  }
}

function formatDiagnostic(diagnostic: Diagnostic, read: SourceReader): string {
  const { severity, message, origin, hint } = diagnostic;
  const lines = [...located(`${severity}: ${message}`, origin, read)];
  for (const related of diagnostic.related ?? []) {
    lines.push(...located(`note: ${related.message}`, related.origin, read));
  }
  if (hint !== undefined) lines.push(`  hint: ${hint}`);
  return lines.join('\n');
}

function located(text: string, origin: Origin | undefined, read: SourceReader): string[] {
  const place = origin === undefined ? undefined : describeOrigin(origin);
  const head = place === undefined ? text : `${place}: ${text}`;
  return origin?.kind === 'file' ? [head, ...excerpt(origin.span, read)] : [head];
}

function excerpt(span: Span, read: SourceReader): string[] {
  const whole = read(span.file)?.split(/\r?\n/)[span.line - 1];
  if (whole === undefined) return [];
  const { line, column } = window(whole, span.column);
  // Tabs are kept in the padding, so that the squiggle stands right whatever the width of a tab.
  const padding = line.slice(0, column - 1).replace(/[^\t]/g, ' ');
  const length = Math.max(1, Math.min(span.length, line.length - column + 1));
  return [`    ${line}`, `    ${padding}${'~'.repeat(length)}`];
}

const longestExcerpt = 300;

/** The part of a long line that has a column, and the column in it. */
function window(line: string, column: number): { readonly line: string; readonly column: number } {
  if (line.length <= longestExcerpt) return { line, column };
  const start = Math.max(0, Math.min(column - 1 - longestExcerpt / 3, line.length - longestExcerpt));
  const part = line.slice(start, start + longestExcerpt);
  const before = start > 0 ? '…' : '';
  const after = start + longestExcerpt < line.length ? '…' : '';
  return { line: `${before}${part}${after}`, column: column - start + before.length };
}

function readSource(file: HostPath): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
