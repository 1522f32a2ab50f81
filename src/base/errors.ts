import type { Diagnostic, Origin } from './diagnostic.ts';

/** What mkimg's exit status says: 1 build or boot test failed, 2 usage or configuration, 130 interrupted. */
export type ErrorClass = 'build' | 'usage' | 'interrupted';

export interface MkimgErrorOptions {
  /** What to do next, one or two sentences. */
  readonly hint?: string;
  readonly class?: ErrorClass;
  /** The user's line that led here. */
  readonly origin?: Origin;
  /** Further places to blame. */
  readonly alsoAt?: readonly Origin[];
  /** The items of a list setting that are at fault, as the user wrote them; `origin` is the setting. */
  readonly items?: readonly string[];
  /** Last lines that the failing tool wrote, oldest first. */
  readonly tail?: readonly string[];
  /** A command line to paste into a shell that enters the same sandbox. */
  readonly reenter?: string;
  readonly cause?: unknown;
}

/**
 * A fault of the world around us: tool, network, disk, package, script. Faults in configuration are diagnostics, our own
 * mistakes are plain `Error`s whose message begins with `internal:`.
 */
export class MkimgError extends Error {
  override readonly name = 'MkimgError';
  /** Stable, kebab-case name of the kind of fault; see docs/errors.md. */
  readonly code: string;
  readonly hint: string | undefined;
  readonly class: ErrorClass;
  readonly origin: Origin | undefined;
  readonly alsoAt: readonly Origin[];
  readonly items: readonly string[];
  readonly tail: readonly string[];
  readonly reenter: string | undefined;

  constructor(code: string, message: string, options: MkimgErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.class = options.class ?? 'build';
    this.origin = options.origin;
    this.alsoAt = options.alsoAt ?? [];
    this.items = options.items ?? [];
    this.tail = options.tail ?? [];
    this.reenter = options.reenter;
  }
}

/** The same error with some of its particulars replaced; `undefined` takes one away. */
export function amended(
  error: MkimgError,
  changes: Partial<Pick<MkimgError, keyof MkimgErrorOptions | 'message'>>,
): MkimgError {
  const { message = error.message, ...options } = changes;
  const { hint, class: errorClass, origin, alsoAt, items, tail, reenter, cause } = error;
  const all = { hint, class: errorClass, origin, alsoAt, items, tail, reenter, cause, ...options };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return new MkimgError(error.code, message, Object.fromEntries(given));
}

/** True for errors that say that a disk is full: programs do so in their own words. */
export function isOfFullDisk({ code, tail }: MkimgError): boolean {
  return code === 'disk-full' || tail.some((line) => fullDiskWords.test(line));
}

const fullDiskWords = /No space left on device|Disk quota exceeded/;

/** The configuration has faults; carries all of them. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map((diagnostic) => diagnostic.message).join('\n'));
    this.diagnostics = diagnostics;
  }
}

/** For the default branch of a switch over a union: compiles only if every case was handled. */
export function unreachable(value: never): never {
  throw new Error(`internal: unexpected value ${JSON.stringify(value)}`);
}

/** True for errors of the operating system with this code, such as `ENOENT`. */
export function isErrno(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
  );
}
