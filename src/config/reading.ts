import { fileURLToPath } from 'node:url';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic, Result } from '../base/diagnostic.ts';
import { fail } from '../base/diagnostic.ts';
import { ConfigurationError } from '../base/errors.ts';
import { dropInsRoot } from './builtin-sets.ts';
import type { ConfigFiles } from './files.ts';
import { hostFiles } from './files.ts';
import { hostFacts } from './host.ts';
import type { LoadEnvironment } from './loading.ts';
import type { Programs, RunProgram } from './programs.ts';
import type { HostFacts } from './setting.ts';

/** Where a configuration is read. */
export interface ReadingRequest {
  /** Of the process that called mkimg. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** By default, this machine. */
  readonly host?: HostFacts;
  /** By default, the disk. */
  readonly files?: ConfigFiles;
  /** Runs what a configuration asks to be run (executable mkimg.version, configure scripts); by default, nothing is. */
  readonly runProgram?: RunProgram;
}

/** Where the configuration sets are that mkimg brings along. */
const builtinRoot: HostPath = hostPath(fileURLToPath(new URL('../../configs', import.meta.url)));

/** Does one reading, with what it needs; a directory that may not be entered ends it. */
export function reading<T>(
  request: ReadingRequest,
  programs: Programs,
  read: (world: LoadEnvironment) => Result<T>,
): Result<T> {
  const faults: Diagnostic[] = [];
  const files = withBuiltin(tolerant(request.files ?? hostFiles, faults));
  try {
    return read({
      files,
      environment: request.environment,
      host: request.host ?? hostFacts(files),
      programs,
      sets: builtinRoot,
      scans: new Map(),
      faults,
    });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return fail(...distinct([...faults, ...error.diagnostics]));
  }
}

/** The same file may be read for several images: what is wrong with it is said once. */
export function distinct(faults: readonly Diagnostic[]): readonly Diagnostic[] {
  const byText = new Map(faults.map((fault) => [JSON.stringify(fault), fault]));
  return [...byText.values()];
}

/** What cannot be read is empty and a fault, so that the faults of all other files are found in the same run. */
function tolerant(files: ConfigFiles, faults: Diagnostic[]): ConfigFiles {
  function attempt<T>(look: () => T, otherwise: T): T {
    try {
      return look();
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      faults.push(...error.diagnostics);
      return otherwise;
    }
  }
  return {
    ...files,
    list: (path) => attempt(() => files.list(path), []),
    read: (path) => attempt(() => files.read(path), ''),
  };
}

/** Built-in sets are on the disk, wherever the project is. */
function withBuiltin(files: ConfigFiles): ConfigFiles {
  const roots = [builtinRoot, dropInsRoot(builtinRoot)];
  const filesFor = (path: string): ConfigFiles =>
    roots.some((root) => path.startsWith(`${root}/`)) ? hostFiles : files;
  return {
    stat: (path) => filesFor(path).stat(path),
    list: (path) => filesFor(path).list(path),
    read: (path) => filesFor(path).read(path),
    realPath: (path) => filesFor(path).realPath(path),
  };
}
