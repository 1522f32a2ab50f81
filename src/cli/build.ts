import type { StepId } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import type { Outlook } from '../engine/build.ts';
import { build, foresee } from '../engine/build.ts';
import type { ResolvedImage } from '../config/project.ts';
import type { EngineEnvironment } from '../engine/environment.ts';
import { explainFault } from '../engine/faults.ts';
import { emitArtifacts, prepareOutputDirectory } from '../engine/publish.ts';
import type { Plan } from '../plan/step.ts';
import { outputSteps } from '../plan/step.ts';
import { currentMode } from '../sandbox/namespace.ts';
import { createSandbox } from '../sandbox/sandbox.ts';
import { reenter } from './session/command-line.ts';
import { imagesToSync, runImageScripts } from './session/host-scripts.ts';
import { imageOption } from './session/images.ts';
import { keepHouse, noteUse, withTrimAdvice } from './session/housekeeping.ts';
import { withPlaces } from './session/places.ts';
import { autoBumpOption, rememberBuild } from './session/remembered-build.ts';
import type { BuildSession } from './session/session.ts';
import { engineEnvironment, openBuildSession } from './session/session.ts';
import { openShared, withShared } from './session/shared.ts';
import { requireTools } from './session/tool-check.ts';
import type { Verb, VerbContext } from './verb.ts';
import { explainOutputs, stepExplainer } from './why/explain.ts';

export const buildVerb: Verb = {
  name: 'build',
  summary: 'Build the image, as far as it is not up to date',
  doc: `Plans the images, takes from the cache what is still valid, runs the other steps and puts the outputs into the output
directory, complete or not at all. Without a change it answers in a moment. With \`--image\`, only that image of the project is built, and what it needs. \`-f\` makes the outputs again, \`-ff\` everything
that the images are made of. Words after \`--\` go to build scripts.`,
  options: [
    {
      name: 'refresh',
      takesValue: false,
      summary: 'Ask the repositories for news, however fresh what is known',
    },
    { name: 'explain', takesValue: false, summary: 'Say of each step why it runs or need not' },
    imageOption,
    autoBumpOption,
  ],
  run: runBuild,
};

/** Builds what is not up to date; enters a namespace first when there is something to do. */
export async function runBuild(given: VerbContext): Promise<number> {
  const remembered = await rememberBuild(given);
  const { context } = remembered;
  let session = await openBuildSession(context);
  try {
    const exitCode = await syncSources(session, context);
    if (exitCode !== undefined) return exitCode;
    // What the scripts have fetched counts from here on.
    if (imagesToSync(wantedOf(session)).length > 0) session = await openBuildSession(context);
    const result = await runSession(session, context);
    if (result === 0) await remembered.finish(session.main);
    return result;
  } catch (error) {
    const { environment, image } = session;
    const fault = await explainFault(error, environment.store.layout.root, image.config.OutputDirectory);
    throw withPlaces(await withTrimAdvice(fault, environment.store), session.images);
  }
}

/** The images that are built, without default initrds. */
function wantedOf({ images, targets }: BuildSession): readonly ResolvedImage[] {
  return images.filter(({ name }) => targets.has(name));
}

/** SyncScripts= of all images, before any of them is built. Returns the exit code of the mkimg that did it all instead. */
async function syncSources(session: BuildSession, context: VerbContext): Promise<number | undefined> {
  const images = imagesToSync(wantedOf(session));
  if (images.length === 0) return undefined;
  if (currentMode() === undefined) return reenter(context);
  const place = {
    mode: session.privileges.mode,
    staging: session.environment.store.layout.staging,
  };
  for (const image of images) await runImageScripts('sync', image, { place, context });
  return undefined;
}

async function runSession(session: BuildSession, context: VerbContext): Promise<number> {
  const outlook = await foresee(session.plan, session.environment, session.targets);
  const explains = context.options.extra['explain'] !== undefined;
  if (explains && currentMode() === undefined) explainOutputs(outlook, context.events);
  if (outlook.upToDate && context.options.force === 0) {
    await noteUse(session, context);
    return reportUpToDate(outlook, context);
  }
  if (session.main.config.Incremental === 'strict') refuseInstallation(session, outlook);
  for (const { directory } of session.targets.values()) await prepareOutputDirectory(directory);
  await requireTools(session, outlook.evaluation.needed);
  if (currentMode() === undefined) return reenter(context);
  await using _forgotten = await forget(session, outlook, context.options.force);
  await using shared = await openShared(session, context);
  const environment: EngineEnvironment = {
    ...withShared(engineEnvironment(session, context), shared),
    ...(explains ? { onDecision: stepExplainer(session, outlook, context.events) } : {}),
  };
  const host = createSandbox({ mode: session.privileges.mode, tools: { kind: 'host' }, ...environment });
  await build(session.plan, environment, {
    targets: session.targets,
    renew: context.options.force > 0,
    copyTree: async (source, target) => {
      await host.run({
        tool: 'cp',
        argv: ['--archive', '--reflink=auto', '--', '/source/.', '/target'],
        mounts: [
          { source, target: '/source', mode: 'ro' },
          { source: target, target: '/target', mode: 'rw' },
        ],
        purpose: 'copying the tree to the output directory',
      });
    },
  });
  await keepHouse(session, context);
  return 0;
}

/** `Incremental=strict`. @throws MkimgError `would-install` */
function refuseInstallation({ main, plan }: BuildSession, { evaluation }: Outlook): void {
  const needed = new Set(evaluation.needed);
  const installing = plan.steps.find(({ id, kind }) => kind === 'install-packages' && needed.has(id));
  if (installing === undefined) return;
  throw new MkimgError(
    'would-install',
    `Incremental=strict, but packages would be installed anew (${installing.label})`,
    {
      hint: '`mkimg plan --why ' + installing.id + '` says what changed; `--incremental=yes` builds it.',
      origin: main.originOf('Incremental'),
    },
  );
}

function reportUpToDate({ images }: Outlook, { events }: VerbContext): number {
  for (const { record } of images.flatMap(({ outputs }) => outputs))
    if (record !== undefined) emitArtifacts(record, 'unchanged', events);
  return 0;
}

/**
 * `-f` makes outputs again, `-ff` everything but the tools tree and the list of packages. The files of old results are
 * removed while the new ones are made; disposal waits for the rest.
 */
async function forget(
  { plan, environment: { store } }: BuildSession,
  { evaluation }: Outlook,
  force: number,
): Promise<AsyncDisposable> {
  const statuses = (force === 0 ? [] : forgotten(plan, force)).map((id) => evaluation.statuses.get(id));
  const keys = statuses.flatMap((status) => (status?.state === 'hit' ? [status.key] : []));
  if (keys.length === 0) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const detached = await store.detach([...new Set(keys)]);
  const removal = Promise.resolve(detached[Symbol.asyncDispose]());
  // Whoever disposes sees the error.
  removal.catch(() => undefined);
  return { [Symbol.asyncDispose]: () => removal };
}

function forgotten(plan: Plan, force: number): readonly StepId[] {
  if (force === 1) return outputSteps(plan);
  return plan.steps
    .filter(({ id, kind }) => kind !== 'resolve-packages' && !id.startsWith('tools/'))
    .map(({ id }) => id);
}
