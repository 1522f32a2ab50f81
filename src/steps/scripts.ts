import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import type { Origin } from '../base/diagnostic.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { Opened } from '../plan/step.ts';
import type { ScriptSettings } from '../plan/vocabulary.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { Mount, RunRequest } from '../sandbox/types.ts';
import { buildrootMount } from './buildroot.ts';
import type { BuildContext } from './implementation.ts';
import * as place from './script-environment.ts';
import type { ScriptApt } from './script-apt.ts';
import { scriptApt } from './script-apt.ts';
import { layOutProducts, productDirectories } from './script-products.ts';
import { openSources } from './script-sources.ts';
import { chrootEnvironment, helperPrograms, helpersDirectory, scriptPath } from './script-helpers.ts';

type Settings = Opened<ScriptSettings>;
type Script = Settings['scripts'][number];

/** Scripts to run one after the other, and the tree they run on. */
export interface ScriptRun {
  readonly settings: Settings;
  /** The image's tree: /buildroot for scripts outside of it, / for those inside. Absent for post-output scripts. */
  readonly root?: HostPath;
  /** DESTDIR of build scripts. */
  readonly destination?: HostPath;
  /** OUTPUTDIR of post-output scripts. */
  readonly output?: HostPath;
}

type Sources = Settings['sources'];

/** What stands ready on the host for the scripts of one step. */
interface Stage {
  /** Becomes /work. */
  readonly work: HostPath;
  /** Becomes the directory of helper programs. */
  readonly helpers: HostPath;
  readonly sources: Sources;
  readonly apt: Pick<ScriptApt, 'mounts' | 'env'>;
  /** See script-products.ts. */
  readonly products: HostPath;
}

/**
 * Runs a step's scripts as mkosi does: with its environment, its places below /work and its helper programs; scripts
 * named *.chroot run inside the image. Of /work and of the machine's resolv.conf nothing stays in the tree; what scripts
 * leave in $PACKAGEDIR, $ARTIFACTDIR and $OUTPUTDIR is kept beside it.
 * @throws MkimgError `script-missing`, `script-not-executable` before anything runs; `script-failed` with the script's
 * path, exit code, last lines and a command line that enters its sandbox.
 */
export async function runScripts(run: ScriptRun, context: BuildContext): Promise<void> {
  for (const script of run.settings.scripts) await checkScript(script, context);
  await using traces = await mountPointTraces(run);
  await using sources = await openSources(run.settings, context);
  const apt = await scriptApt(run.settings, context);
  const prepared = await prepareStage({ run, apt, resolvConf: traces.resolvConf }, context);
  const stage = { ...prepared, apt, sources: sources.sources };
  const products = await layOutProducts(run.settings, hostPath(join(context.work, 'products')));
  for (const script of run.settings.scripts)
    await runScript({ run, stage: { ...stage, products: products.directory }, script }, context);
  if (run.root !== undefined) await products.keep(context.products);
  for (const path of [stage.work, stage.helpers, products.directory])
    await rm(path, { recursive: true, force: true });
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
  if (root === undefined) {
    return { resolvConf: treePath('etc/resolv.conf'), [Symbol.asyncDispose]: () => Promise.resolve() };
  }
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

interface StageParts {
  readonly run: ScriptRun;
  readonly apt: ScriptApt;
  readonly resolvConf: TreePath;
}

async function prepareStage(
  { run: { settings }, apt, resolvConf }: StageParts,
  context: BuildContext,
): Promise<Pick<Stage, 'work' | 'helpers'>> {
  const work = hostPath(join(context.work, 'scripts'));
  const helpers = hostPath(join(context.work, 'helpers'));
  const inStage = (path: string): string => join(work, relative(place.workDirectory, path));
  await mkdir(helpers, { recursive: true });
  for (const path of stageDirectories) await mkdir(inStage(path), { recursive: true });
  await writeFile(inStage(place.configFile), settings.configJson);
  const programs = { ...helperPrograms({ network: settings.network, resolvConf }), ...apt.programs };
  for (const [name, text] of Object.entries(programs)) {
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
    const { origin } = context;
    throw explainScriptFailure(error, { tool: request.tool, script: script.file.path, origin });
  }
}

interface FailedScript {
  /** How the script is called in its sandbox. */
  readonly tool: string;
  readonly script: HostPath;
  readonly origin?: Origin | undefined;
}

/** Names the user's script where a failed run names its place in the sandbox. */
export function explainScriptFailure(error: unknown, { tool, script, origin }: FailedScript): unknown {
  if (!(error instanceof MkimgError) || error.code !== 'tool-failed') return error;
  const named = (text: string): string => text.replace(tool, script);
  return new MkimgError('script-failed', named(error.message), {
    ...(error.hint === undefined ? {} : { hint: named(error.hint) }),
    ...(error.reenter === undefined ? {} : { reenter: error.reenter }),
    ...(origin === undefined ? {} : { origin }),
    tail: error.tail,
    cause: error,
  });
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
  const mounts = workMounts(run, stage, script);
  const request = {
    tool: place.scriptFile(settings.phase),
    argv: settings.arguments,
    network: settings.network,
    workingDirectory: place.sourceDirectory,
    purpose: `running as ${settings.phase} script`,
  };
  if (script.chroot && root !== undefined) {
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
      ...(root === undefined ? [] : [buildrootMount(root)]),
      { source: stage.helpers, target: helpersDirectory, mode: 'ro' },
      ...stage.apt.mounts,
      ...mounts,
    ],
    env: { PATH: scriptPath, ...stage.apt.env, ...environment },
  };
}

function workMounts(
  { settings, destination, output }: ScriptRun,
  { work, sources, products }: Stage,
  script: Script,
): Mount[] {
  const { phase, buildDirectory } = settings;
  const buildMode = place.buildDirectoryMode(phase);
  return [
    { source: work, target: place.workDirectory, mode: 'rw' },
    { source: script.file.path, target: place.scriptFile(phase), mode: 'ro' },
    ...productMounts(phase, output, products),
    ...sources.map(({ source, target }): Mount => ({
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

const productTargets = {
  packages: place.packageDirectory,
  artifacts: place.artifactDirectory,
  output: place.outputDirectory,
} as const;

function productMounts(
  phase: Settings['phase'],
  output: HostPath | undefined,
  products: HostPath,
): readonly Mount[] {
  if (output !== undefined) return [{ source: output, target: place.outputDirectory, mode: 'rw' }];
  return productDirectories
    .filter((name) => name !== 'output' || place.hasOutput(phase))
    .map((name) => ({
      source: hostPath(join(products, name)),
      target: productTargets[name],
      mode: 'rw' as const,
    }));
}
