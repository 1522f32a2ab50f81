import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { Opened } from '../plan/step.ts';
import type { ScriptSettings } from '../plan/vocabulary.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { Mount, RunRequest } from '../sandbox/types.ts';
import { buildrootMount } from './buildroot.ts';
import type { BuildContext } from './implementation.ts';
import * as place from './script-environment.ts';
import { chrootEnvironment, helperPrograms, helpersDirectory, scriptPath } from './script-helpers.ts';

type Settings = Opened<ScriptSettings>;
type Script = Settings['scripts'][number];

/** Scripts to run one after the other, and the tree they run on. */
export interface ScriptRun {
  readonly settings: Settings;
  /** The image's tree: /buildroot for scripts outside of it, / for those inside. */
  readonly root: HostPath;
  /** DESTDIR of build scripts. */
  readonly destination?: HostPath;
}

/** What stands ready on the host for the scripts of one step. */
interface Stage {
  /** Becomes /work. */
  readonly work: HostPath;
  /** Becomes the directory of helper programs. */
  readonly helpers: HostPath;
}

/**
 * Runs a step's scripts as mkosi does: with its environment, its places below /work and its helper programs; scripts
 * named *.chroot run inside the image. Of /work and of the machine's resolv.conf nothing stays in the tree.
 * @throws MkimgError `script-missing`, `script-not-executable` before anything runs; `script-failed` with the script's
 * path, exit code, last lines and a command line that enters its sandbox.
 */
export async function runScripts(run: ScriptRun, context: BuildContext): Promise<void> {
  for (const script of run.settings.scripts) await checkScript(script, context);
  await using traces = await mountPointTraces(run);
  const stage = await prepareStage(run, traces.resolvConf, context);
  for (const script of run.settings.scripts) await runScript({ run, stage, script }, context);
  await noteUnusedOutput(run, stage, context);
  for (const path of [stage.work, stage.helpers]) await rm(path, { recursive: true, force: true });
}

async function checkScript({ file }: Script, { origin }: BuildContext): Promise<void> {
  const from = origin === undefined ? {} : { origin };
  try {
    // Root may run what has an executable bit for anybody, and nothing else.
    if (((await stat(file.path)).mode & 0o111) !== 0) return;
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new MkimgError('script-missing', `There is no script ${file.path}.`, { class: 'usage', ...from });
  }
  throw new MkimgError('script-not-executable', `The script ${file.path} is not executable.`, {
    hint: `chmod +x ${file.path}`,
    class: 'usage',
    ...from,
  });
}

interface MountPointTraces extends AsyncDisposable {
  /** Path of the image's etc/resolv.conf below its root, links followed. */
  readonly resolvConf: TreePath;
}

/** The helper mkosi-chroot makes mount points in the tree; those that were not there go at the end of the scope. */
async function mountPointTraces({ root }: ScriptRun): Promise<MountPointTraces> {
  const tree = treeAt(root);
  const work = treePath(place.workDirectory);
  const resolvConf = treePath(relative(root, await tree.resolve(treePath('etc/resolv.conf'))));
  const hadWork = await tree.exists(work);
  const hadResolvConf = await tree.exists(resolvConf);
  return {
    resolvConf,
    [Symbol.asyncDispose]: async () => {
      if (!hadWork && (await tree.list(work)).length === 0) await tree.remove(work);
      if (!hadResolvConf && (await tree.readText(resolvConf)) === '') await tree.remove(resolvConf);
    },
  };
}

async function prepareStage(
  { settings }: ScriptRun,
  resolvConf: TreePath,
  context: BuildContext,
): Promise<Stage> {
  const work = hostPath(join(context.work, 'scripts'));
  const helpers = hostPath(join(context.work, 'helpers'));
  const inStage = (path: string): string => join(work, relative(place.workDirectory, path));
  await mkdir(helpers, { recursive: true });
  for (const path of stageDirectories) await mkdir(inStage(path), { recursive: true });
  await writeFile(inStage(place.configFile), settings.configJson);
  for (const [name, text] of Object.entries(helperPrograms({ network: settings.network, resolvConf }))) {
    await writeFile(join(helpers, name), text, { mode: 0o755 });
  }
  if (settings.buildDirectory !== undefined) await mkdir(settings.buildDirectory, { recursive: true });
  return { work, helpers };
}

const stageDirectories = [
  place.sourceDirectory,
  place.destinationDirectory,
  place.buildDirectory,
  place.outputDirectory,
  place.packageDirectory,
  place.artifactDirectory,
] as const;

interface OneScript {
  readonly run: ScriptRun;
  readonly stage: Stage;
  readonly script: Script;
}

async function runScript(one: OneScript, context: BuildContext): Promise<void> {
  const { script } = one;
  const request = scriptRequest(one);
  try {
    await context.sandbox.run(request);
  } catch (error) {
    if (!(error instanceof MkimgError) || error.code !== 'tool-failed') throw error;
    const named = (text: string): string => text.replace(request.tool, script.file.path);
    throw new MkimgError('script-failed', named(error.message), {
      ...(error.hint === undefined ? {} : { hint: named(error.hint) }),
      ...(error.reenter === undefined ? {} : { reenter: error.reenter }),
      ...(context.origin === undefined ? {} : { origin: context.origin }),
      tail: error.tail,
      cause: error,
    });
  }
}

/** How a script is run: pure. */
export function scriptRequest({ run, stage, script }: OneScript): RunRequest {
  const { settings, root } = run;
  const environment = {
    ...place.placesEnvironment({
      phase: settings.phase,
      buildDirectory: settings.buildDirectory !== undefined,
    }),
    ...settings.environment,
  };
  const mounts = workMounts(run, stage.work, script);
  const request = {
    tool: place.scriptFile(settings.phase),
    argv: settings.arguments,
    network: settings.network,
    workingDirectory: place.sourceDirectory,
    purpose: `running as ${settings.phase} script`,
  };
  if (script.chroot) {
    return {
      ...request,
      root,
      mounts,
      env: { ...environment, ...chrootEnvironment },
    };
  }
  return {
    ...request,
    mounts: [
      buildrootMount(root),
      { source: stage.helpers, target: helpersDirectory, mode: 'ro' },
      ...mounts,
    ],
    env: { PATH: scriptPath, ...environment },
  };
}

function workMounts({ settings, destination }: ScriptRun, work: HostPath, script: Script): Mount[] {
  const { phase, buildDirectory } = settings;
  const buildMode = place.buildDirectoryMode(phase);
  return [
    { source: work, target: place.workDirectory, mode: 'rw' },
    { source: script.file.path, target: place.scriptFile(phase), mode: 'ro' },
    ...settings.sources.map(({ source, target }): Mount => ({
      source: source.path,
      target: join(place.sourceDirectory, target),
      mode: 'rw',
    })),
    ...(destination === undefined
      ? []
      : [{ source: destination, target: place.destinationDirectory, mode: 'rw' } as const]),
    ...(buildDirectory === undefined || buildMode === undefined
      ? []
      : [{ source: buildDirectory, target: place.buildDirectory, mode: buildMode }]),
  ];
}

/** What scripts leave in these directories has no way on; saying so beats losing it silently. */
async function noteUnusedOutput(
  { settings }: ScriptRun,
  stage: Stage,
  { events }: BuildContext,
): Promise<void> {
  for (const path of [place.outputDirectory, place.packageDirectory, place.artifactDirectory]) {
    const names = await readdir(join(stage.work, relative(place.workDirectory, path)));
    if (names.length === 0) continue;
    events.emit({
      type: 'note',
      level: 'warning',
      code: 'script-output-unused',
      message: `A ${settings.phase} script left ${names.slice(0, 3).join(', ')} in ${path}, which mkimg does not take over.`,
      hint: 'Put files into the image ($BUILDROOT, or $DESTDIR in build scripts).',
    });
  }
}
