import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { exists } from '../base/files.ts';
import type { Mount, RunRequest, Sandbox } from '../sandbox/types.ts';
import * as place from './script-environment.ts';
import { explainScriptFailure } from './scripts.ts';

/** Scripts that belong to no step: they run before images are planned, or when outputs are cleared away. */
export interface HostScripts {
  readonly phase: 'sync' | 'clean';
  readonly scripts: readonly HostPath[];
  readonly environment: Readonly<Record<string, string>>;
  readonly sources: readonly { readonly source: HostPath; readonly target: TreePath }[];
  /** OUTPUTDIR of clean scripts. */
  readonly output?: HostPath;
  readonly configJson: string;
}

export interface HostScriptContext {
  readonly sandbox: Sandbox;
  /** Empty directory. */
  readonly work: HostPath;
}

/**
 * Runs sync or clean scripts as mkosi does. Sync scripts have the network, see the caller's home, and write to the sources
 * themselves; clean scripts have neither network nor anything but the sources and the output directory.
 * @throws MkimgError `script-failed`
 */
export async function runHostScripts(run: HostScripts, { sandbox, work }: HostScriptContext): Promise<void> {
  for (const path of ['src', 'out']) await mkdir(join(work, path), { recursive: true });
  await writeFile(join(work, basename(place.configFile)), run.configJson);
  const visible = run.phase === 'sync' ? await existing(['/home', '/run']) : [];
  for (const script of run.scripts) {
    const request = hostScriptRequest(run, { script, work, visible });
    try {
      await sandbox.run(request);
    } catch (error) {
      throw explainScriptFailure(error, { tool: request.tool, script });
    }
  }
}

async function existing(paths: readonly string[]): Promise<readonly HostPath[]> {
  const found = await Promise.all(paths.map(async (path) => ((await exists(path)) ? [hostPath(path)] : [])));
  return found.flat();
}

interface OneHostScript {
  readonly script: HostPath;
  readonly work: HostPath;
  /** Directories of the host that are shown at their own paths. */
  readonly visible: readonly HostPath[];
}

/** How such a script is run: pure. */
export function hostScriptRequest(
  { phase, environment, sources, output }: HostScripts,
  { script, work, visible }: OneHostScript,
): RunRequest {
  const tool = `${place.workDirectory}/${phase}`;
  return {
    tool,
    argv: phase === 'sync' ? ['final'] : [],
    network: phase === 'sync',
    workingDirectory: place.sourceDirectory,
    mounts: [
      ...visible.map((path): Mount => ({ source: path, target: path, mode: 'ro' })),
      { source: work, target: place.workDirectory, mode: 'rw' },
      { source: script, target: tool, mode: 'ro' },
      ...sources.map(({ source, target }): Mount => ({
        source,
        target: join(place.sourceDirectory, target),
        mode: 'rw',
      })),
      ...(output === undefined
        ? []
        : [{ source: output, target: place.outputDirectory, mode: 'rw' } as const]),
    ],
    env: {
      SRCDIR: place.sourceDirectory,
      ...place.callerVariables,
      ...(output === undefined ? {} : { OUTPUTDIR: place.outputDirectory }),
      ...environment,
    },
    purpose: `running as ${phase} script`,
  };
}
