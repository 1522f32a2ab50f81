import type { HostPath } from './brand.ts';

/** A stretch of text in a file. Lines and columns count from 1, columns in UTF-16 units. */
export interface Span {
  readonly file: HostPath;
  readonly line: number;
  readonly column: number;
  /** Length in UTF-16 units on the first line; at least 1. */
  readonly length: number;
}

/** Where a value came from. Kept with each value to the end, so that a late error still points at the user's line. */
export type Origin =
  | { readonly kind: 'file'; readonly span: Span }
  /** A command-line flag, as the user wrote it (`--package=vim`). */
  | { readonly kind: 'flag'; readonly text: string }
  /** A file or directory that was picked up because of its name (mkimg.extra/). */
  | { readonly kind: 'path'; readonly path: HostPath }
  /** Handed down by another image (default initrd, tools tree). */
  | { readonly kind: 'inherited'; readonly image: string }
  | { readonly kind: 'default' };

/** A fault in something the user wrote, or a remark about it. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  /** Stable, kebab-case name of the kind of fault. */
  readonly code: string;
  readonly message: string;
  readonly origin?: Origin;
  /** What to do next. */
  readonly hint?: string;
  readonly related?: readonly { readonly message: string; readonly origin: Origin }[];
}

export type Result<T> =
  | { readonly ok: true; readonly value: T; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function ok<T>(value: T, warnings: readonly Diagnostic[] = []): Result<T> {
  return { ok: true, value, warnings };
}

export function fail(...diagnostics: readonly Diagnostic[]): {
  ok: false;
  diagnostics: readonly Diagnostic[];
} {
  return { ok: false, diagnostics };
}
