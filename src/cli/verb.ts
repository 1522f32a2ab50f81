import type { HostPath } from '../base/brand.ts';
import type { EventSink } from '../base/events.ts';

/** A setting given on the command line, in order. `text` is undefined for a flag without a value. */
export interface FlagAssignment {
  readonly setting: string;
  readonly text: string;
  /** The flag as the user wrote it, for diagnostics: `--package=vim`. */
  readonly flag: string;
}

/** Switches that are not settings. */
export interface GlobalOptions {
  /** `-C`: where the configuration is. */
  readonly directory: HostPath;
  /** `-C ''`: no configuration is read, the command line says everything. */
  readonly isProjectless?: boolean;
  /** How often `-f` was given. */
  readonly force: number;
  readonly json: boolean;
  readonly debug: boolean;
  /** Names of verb options as given (`--origin` -> origin: 'true'). */
  readonly extra: Readonly<Record<string, string>>;
}

export interface VerbContext {
  readonly assignments: readonly FlagAssignment[];
  readonly options: GlobalOptions;
  /** Positional words after the verb. */
  readonly words: readonly string[];
  /** Words after `--`. */
  readonly rest: readonly string[];
  readonly events: EventSink;
  /** Aborted by SIGINT, SIGTERM, SIGHUP. */
  readonly signal: AbortSignal;
  /** Aborted by a second one, for verbs that are patient. */
  readonly insist: AbortSignal;
  /** Writes the verb's result to standard output. */
  print(text: string): void;
}

/** A switch of one verb. */
export interface VerbOption {
  readonly name: string;
  readonly short?: string;
  readonly takesValue: boolean;
  /** The value is the name of a file. */
  readonly isFile?: boolean;
  readonly summary: string;
}

export interface VerbWords {
  /** As the usage line shows them: `[SETTING]`. */
  readonly usage: string;
  /** What the first one can be; a function where the list takes a while to make. */
  readonly choices: readonly string[] | (() => readonly string[]);
}

/** One command of mkimg; each lives in a file of its own and is listed in verbs.ts. */
export interface Verb {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** What the manual says; Markdown. */
  readonly doc?: string;
  /** The words that it takes after its name. */
  readonly words?: VerbWords;
  readonly options: readonly VerbOption[];
  /** With --json it prints one JSON document, so that events go to standard error; other verbs print events only. */
  readonly answers?: boolean;
  /** What it ends may take its time: a second signal is for it as well, not for the process. */
  readonly isPatient?: boolean;
  /** Called so, it only says what went wrong; as hooks do that others call. */
  readonly isTerse?: (call: Pick<VerbContext, 'words' | 'options'>) => boolean;
  /** Returns the exit code; throws ConfigurationError or MkimgError. */
  run(context: VerbContext): Promise<number>;
}
