import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import type { ImageConfig, Project, ResolvedImage } from '../../config/project.ts';
import { openHostDigests } from '../../engine/digest.ts';
import type { EngineEnvironment, EvaluationEnvironment, PresentTools } from '../../engine/environment.ts';
import { defaultJobs } from '../../engine/executor.ts';
import type { History } from '../../engine/history.ts';
import { openHistory } from '../../engine/history.ts';
import type { CacheLayout } from '../../engine/layout.ts';
import { cacheDirectory, cacheLayout } from '../../engine/layout.ts';
import { overlayMounter } from '../../engine/mounter.ts';
import type { PublishTargets } from '../../engine/build.ts';
import type { PublishTarget } from '../../engine/publish.ts';
import type { SecretHash } from '../../engine/secret.ts';
import { openSecretHash } from '../../engine/secret.ts';
import { openStore } from '../../engine/store.ts';
import { rootPasswordSecret } from '../../plan/image.ts';
import { outputBase } from '../../plan/outputs.ts';
import type { ToolsChoice } from '../../plan/project.ts';
import { planProject } from '../../plan/project.ts';
import type { Plan } from '../../plan/step.ts';
import type { Privileges } from '../../sandbox/namespace.ts';
import { callerUid, currentMode, recallPrivileges } from '../../sandbox/namespace.ts';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { probeTools } from '../../sandbox/tools.ts';
import type { ToolsRoot } from '../../sandbox/types.ts';
import { catalogue } from '../../steps/catalogue.ts';
import type { MetadataPolicy, ToolNeed } from '../../steps/implementation.ts';
import type { VerbContext } from '../verb.ts';
import { chooseEmulators } from './emulators.ts';
import type { FactsRequest } from './facts.ts';
import { planFacts } from './facts.ts';
import { buildableImages, selectImage, wantedImages } from './images.ts';
import { checkInputs, makeScriptsExecutable, noteUnsupported } from './inputs.ts';
import { describedTools, readInitrds, readProject, readTools } from './project.ts';

/** Everything a verb needs to plan and to tell what is up to date. */
export interface Session {
  readonly project: Project;
  readonly main: ResolvedImage;
  /** The image that the verb acts on: `--image`, else the main one. */
  readonly image: ResolvedImage;
  readonly privileges: Privileges;
  readonly environment: EvaluationEnvironment;
  readonly secrets: ReadonlyMap<string, string>;
}

/** A session whose project is planned. */
export interface BuildSession extends Session {
  /** The image that the verb acts on, then all others that are planned with it and have the user's settings. */
  readonly images: readonly ResolvedImage[];
  readonly plan: Plan;
  readonly targets: PublishTargets;
  /** What the last builds of this project were made from. */
  readonly history: History;
}

const hour = 3_600_000;

/** Opens the store and reads the configuration; runs nothing but a look at the machine. */
export async function openSession(context: VerbContext): Promise<Session> {
  const project = await readProject(context);
  const { main } = project;
  const layout = cacheLayoutOf(main.config);
  const store = await openStore(layout);
  const privileges = await privilegesOfRun(layout);
  const environment: EvaluationEnvironment = {
    store,
    catalogue,
    digests: await openHostDigests(hostPath(join(layout.state, 'digests.json'))),
    ownership: privileges.mode === 'single-id' ? 'flat' : 'full',
    identifyTools: (needs, tools) => identifyTools(needs, tools, layout),
    metadataPolicy: metadataPolicy(main.config, context),
  };
  return { project, main, image: selectImage(project, context), privileges, environment, secrets: new Map() };
}

/** Where mkimg keeps things for this configuration. */
export function cacheLayoutOf(config: Pick<ImageConfig, 'CacheDirectory'>): CacheLayout {
  const { CacheDirectory: setting } = config;
  return cacheLayout(cacheDirectory({ setting, environment: process.env, uid: callerUid() }));
}

async function privilegesOfRun({ state }: CacheLayout): Promise<Privileges> {
  const mode = currentMode();
  return mode === undefined ? recallPrivileges(hostPath(join(state, 'privileges.json'))) : { mode };
}

/** Plans the project: images, default initrd, and the tools tree where the host's tools do not do. */
export async function openBuildSession(
  context: VerbContext,
  wishes: Pick<FactsRequest, 'hostPackages'> = {},
): Promise<BuildSession> {
  const session = await openSession(context);
  const { project, image, environment } = session;
  const images = buildableImages(project);
  const wanted = wantedImages(project, image);
  checkInputs(images, wanted);
  await makeScriptsExecutable(images);
  const tools = describedTools(project);
  noteUnsupported([...images, ...project.images, ...(tools === undefined ? [] : [tools])], context.events);
  const initrds = await readInitrds(project, context.events);
  const emulators = await chooseEmulators(project, [...images, ...initrds.values()], context.events);
  const secretHash = await openSecretHash(environment.store.layout.state);
  const planWith = async (tools: ToolsChoice): Promise<Plan> => {
    const first = await planOnce([]);
    return planOnce(volatilePaths(images, environment.store.layout, first));

    async function planOnce(volatileDirectories: readonly HostPath[]): Promise<Plan> {
      const facts = await planFacts({
        ...{ secretHash, buildArguments: context.rest, volatileDirectories },
        ...wishes,
      });
      return planProject({ images, wanted, initrds, tools, emulators, facts });
    }
  };
  const plan = await planWith(await chooseTools(session, await planWith({ kind: 'host' }), context));
  const all = [...new Set([image, ...images, ...initrds.values()])];
  const targets = new Map(images.map(({ name, config }) => [name, publishTarget(config, context)]));
  for (const name of targets.keys()) if (!wanted.includes(name)) targets.delete(name);
  const history = await openHistory(environment.store.layout.state, session.main.directory);
  return { ...session, images: all, secrets: secretsOf(all, secretHash), plan, targets, history };
}

/** What builds write into, and so must not count as a source of builds. */
function volatilePaths(
  images: readonly ResolvedImage[],
  layout: CacheLayout,
  plan: Plan,
): readonly HostPath[] {
  const outputs = plan.images.flatMap(({ directory, outputs }) =>
    outputs
      .flatMap(({ name, link }) => (link === undefined ? [name] : [name, link]))
      .map((name) => hostPath(join(directory, name))),
  );
  const besides = images.flatMap(({ config }) => [
    ...[checksumFile(config) ?? [], 'test-results']
      .flat()
      .map((name) => hostPath(join(config.OutputDirectory, name))),
    ...(config.BuildDirectory === undefined ? [] : [config.BuildDirectory]),
  ]);
  return [...new Set([...outputs, ...besides, layout.root])];
}

async function chooseTools(
  { project, main, environment }: Session,
  plan: Plan,
  context: VerbContext,
): Promise<ToolsChoice> {
  const { ToolsTree } = main.config;
  const ownTree = async (): Promise<ToolsChoice> => ({
    kind: 'image',
    image: await readTools(project, 'build', context.events),
  });
  if (ToolsTree === 'no') return { kind: 'host' };
  if (ToolsTree === 'default') return ownTree();
  if (ToolsTree !== undefined) return { kind: 'path', path: ToolsTree };
  const { missing } = await probeTools(needsOf(plan), { kind: 'host' }, probeCache(environment.store.layout));
  return missing.length === 0 ? { kind: 'host' } : ownTree();
}

function needsOf(plan: Plan): readonly ToolNeed[] {
  return [...new Set(plan.steps.map(({ kind }) => kind))].flatMap((kind) => catalogue[kind].tools);
}

/** Where versions of tools are remembered. */
export function probeCache(layout: CacheLayout): HostPath {
  return hostPath(join(layout.state, 'tools.json'));
}

async function identifyTools(
  needs: readonly ToolNeed[],
  tools: PresentTools,
  layout: CacheLayout,
): Promise<Json> {
  const root: ToolsRoot = tools.kind === 'host' ? tools : { kind: 'tree', path: tools.path };
  const { found } = await probeTools(needs, root, probeCache(layout));
  return found.map(({ tool, version }) => [tool, version]);
}

function metadataPolicy(config: ImageConfig, { options }: VerbContext): MetadataPolicy {
  const maxAge = 24 * hour;
  if ('refresh' in options.extra || config.CacheOnly === 'never') return { refresh: 'always', maxAge };
  // Whoever wants nothing to be rebuilt does not want news that could make it necessary.
  if (config.Incremental === 'strict') return { refresh: 'never', maxAge };
  return { refresh: config.CacheOnly === 'auto' ? 'aged' : 'never', maxAge };
}

function secretsOf(images: readonly ResolvedImage[], hash: SecretHash): ReadonlyMap<string, string> {
  const secrets = new Map<string, string>();
  for (const image of images) {
    const password = image.config.RootPassword;
    if (password !== undefined) secrets.set(rootPasswordSecret(hash(password.value)), password.value);
  }
  return secrets;
}

function publishTarget(config: ImageConfig, { options }: VerbContext): PublishTarget {
  return {
    directory: config.OutputDirectory,
    mode: config.OutputMode ?? 0o666 & ~currentUmask(),
    checksumFile: checksumFile(config),
    replaceForeign: options.force > 0,
  };
}

/** Node reads it only by setting it. Called before anything runs side by side. */
function currentUmask(): number {
  const mask = process.umask(0o077);
  process.umask(mask);
  return mask;
}

function checksumFile(config: ImageConfig): string | undefined {
  return config.Checksum ? `${outputBase(config)}.SHA256SUMS` : undefined;
}

/** What the executor needs on top; only inside the namespace. */
export function engineEnvironment(
  session: Session & Partial<Pick<BuildSession, 'history'>>,
  { events, options, signal }: VerbContext,
): EngineEnvironment {
  const mode = session.privileges.mode;
  // Tools and maintainer scripts inherit it, and what they make must not depend on who calls.
  process.umask(0o022);
  return {
    ...session.environment,
    sandboxFor: ({ signal: stepSignal, ...request }) =>
      createSandbox({ mode, ...request, events, signal: stepSignal, debug: options.debug }),
    mounter: overlayMounter,
    events,
    signal,
    jobs: defaultJobs(),
    secrets: session.secrets,
    ...(session.history === undefined ? {} : { history: session.history }),
  };
}
