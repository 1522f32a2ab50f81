/** What programs that import mkimg get: its configuration language. docs/library.md shows how to use it. */
import { resolve } from 'node:path';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { ConfigurationError } from '../base/errors.ts';
import type { RunProgram } from './programs.ts';
import { loadProject } from './project.ts';
import type { ResolvedImage } from './resolved-image.ts';
import type { SettingName } from './settings/table.ts';

export type { Diagnostic, Origin, Span } from '../base/diagnostic.ts';
export type { Assignment, FailedCondition, FileVisit } from './history.ts';
export type { ProgramOutcome, ProgramRequest, RunProgram } from './programs.ts';
export type { ResolvedImage } from './resolved-image.ts';
export { configurationSchema } from './schema.ts';
export type { ImageConfig, SettingName } from './settings/table.ts';

export interface LoadConfigOptions {
  /** The directory that holds the configuration; relative paths count from the current directory. */
  readonly directory: string;
  /** Settings as on the command line: texts as in a file, of which an empty one drops what files say. */
  readonly settings?: Readonly<Partial<Record<SettingName, string | readonly string[]>>>;
  /** The environment that the configuration sees; that of this process by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Runs programs that the configuration asks for (mkimg.version, configure scripts). Without it they are faults. */
  readonly runProgram?: RunProgram;
}

/** A configuration that was read, or why it could not be. */
export type LoadedConfig =
  | {
      readonly ok: true;
      /** In the order in which they are built; the main image comes last. */
      readonly images: readonly ResolvedImage[];
      readonly main: ResolvedImage;
      /** The image of the tools tree, if mkimg makes one. */
      readonly tools: ResolvedImage | undefined;
      /** Warnings only. */
      readonly diagnostics: readonly Diagnostic[];
    }
  | {
      readonly ok: false;
      readonly images: readonly [];
      /** All faults, warnings among them. */
      readonly diagnostics: readonly Diagnostic[];
    };

/**
 * Reads the configuration in a directory as `mkimg summary` does. Faults of the user come back as diagnostics. Nothing is
 * run, but by `runProgram`.
 * @throws Error for names in `settings` that are no settings, and for mistakes of mkimg itself
 */
export async function loadConfig(options: LoadConfigOptions): Promise<LoadedConfig> {
  const { environment = process.env, settings = {}, runProgram } = options;
  const assignments = Object.entries(settings).flatMap(([setting, texts]) =>
    [texts].flat().map((text) => ({ setting, text, flag: `${setting}=${text}` })),
  );
  const directory = hostPath(resolve(options.directory));
  try {
    const loaded = await loadProject({
      ...{ directory, assignments, environment },
      ...(runProgram && { runProgram }),
    });
    if (!loaded.ok) return { ok: false, images: [], diagnostics: loaded.diagnostics };
    const { images, main, tools, warnings } = loaded.value;
    return { ok: true, images, main, tools, diagnostics: warnings };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return { ok: false, images: [], diagnostics: error.diagnostics };
  }
}
