import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepId } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { isObject } from '../../base/canonical.ts';
import { MkimgError } from '../../base/errors.ts';
import type { RunEvent } from '../../base/events.ts';
import { isDirectory, isRegularFile, makeDirectory, namesIn } from '../../base/files.ts';
import { closest } from '../../base/suggestion.ts';
import { parseEnvironmentFile } from '../../config/environment-file.ts';
import { buildable } from '../../config/buildable.ts';
import { hostFiles } from '../../config/files.ts';
import type { ResolvedImage } from '../../config/project.ts';
import { parseResolvedPackages } from '../../distro/resolved.ts';
import { explainFault } from '../../engine/faults.ts';
import { evaluate } from '../../engine/evaluate.ts';
import type { Entry } from '../../engine/store.ts';
import type { RecordedSegment } from '../../initrd/records.ts';
import { recallSegment, rememberSegment } from '../../initrd/records.ts';
import type { Segment, SegmentCache, SegmentRole } from '../../initrd/segment-cache.ts';
import { look } from '../../initrd/sightings.ts';
import { compressionOf } from '../../plan/outputs.ts';
import type { StepKind } from '../../plan/step.ts';
import type { Compression, HostPackages } from '../../plan/vocabulary.ts';
import { outputSteps } from '../../plan/step.ts';
import { currentMode } from '../../sandbox/namespace.ts';
import { productDirectory } from '../product.ts';
import { readProject } from '../session/project.ts';
import { withPlaces } from '../session/places.ts';
import type { BuildSession } from '../session/session.ts';
import { openBuildSession } from '../session/session.ts';
import { executeShared } from '../session/shared.ts';
import { requireTools } from '../session/tool-check.ts';
import type { FlagAssignment, VerbContext } from '../verb.ts';
import type { BaseContent } from './base-parts.ts';
import { baseParts } from './base-parts.ts';
import { pathOwners } from './owners.ts';
import type { PartSettings } from './part-settings.ts';
import { parsePartSettings, partSettings, partSettingsJson } from './part-settings.ts';
import type { InitrdRequest } from './request.ts';

/** What packages come to: the parts `base` and `profile`. */
export interface BaseSegments {
  readonly segments: readonly Segment[];
  readonly settings: PartSettings;
}

/** Configuration of the administrator and of packages, later ones win. */
const configurationDirectories: readonly string[] = [
  'usr/lib/mkimg-initrd',
  'usr/local/lib/mkimg-initrd',
  'run/mkimg-initrd',
  'etc/mkimg-initrd',
];

/** Where package managers say what is installed, and where packages come from. */
const packageState: readonly string[] = [
  'var/lib/dpkg/status',
  'usr/lib/sysimage/rpm',
  'var/lib/rpm',
  'var/lib/pacman/local',
  'etc/apt',
  'etc/os-release',
  'usr/lib/os-release',
];

/** The base as it was made before, if nothing that it depends on looks different. */
export function recallBase(request: InitrdRequest, version: string): BaseSegments | undefined {
  const identity = identityOf(request, version);
  const recall = (role: SegmentRole): RecordedSegment | undefined =>
    recallSegment(request.cache, role, identity);
  const [base, profile] = [recall('base'), recall('profile')];
  if (base?.segment === undefined || profile === undefined) return undefined;
  const settings = parsePartSettings(base.notes);
  const segments = [base.segment, ...(profile.segment === undefined ? [] : [profile.segment])];
  return settings && { segments, settings };
}

function identityOf({ root, assignments }: InitrdRequest, version: string): Record<string, Json> {
  return { root, version, settings: assignments.map(({ setting, text }) => [setting, text]) };
}

export interface BaseScene {
  readonly request: InitrdRequest;
  readonly version: string;
  readonly segments: SegmentCache;
  readonly context: VerbContext;
  /** Told what the configuration says before the base is made, so that the other parts need not wait for it. */
  readonly onSettings: (settings: PartSettings) => void;
}

/**
 * Makes the base from packages: the image of the built-in set `initrd` with the machine's own configuration.
 * @returns undefined where this process is in no namespace: most likely it takes one, and planning twice takes longer
 */
export async function makeBase(scene: BaseScene): Promise<BaseSegments | undefined> {
  if (currentMode() === undefined) return undefined;
  const { request, version } = scene;
  const { context, compression } = uncompressed(await withProfiles(await baseContext(scene)));
  const session = await openBuildSession(context, await packageWishes(request));
  const watched = [...watchedPaths(request), ...hostInputs(session)];
  const before = look(watched);
  const settings = partSettings(session.main);
  scene.onSettings(settings);
  const made = { ...(await baseEntry(session, context)), image: session.main, compression };
  const segments = await baseParts(made, { ...scene, cache: request.cache });
  const notes = partSettingsJson(settings);
  const identity = identityOf(request, version);
  for (const role of ['base', 'profile'] as const) {
    const segment = segments.find((candidate) => candidate.role === role);
    await rememberSegment(request.cache, { role, identity, watched, segment, notes }, before);
  }
  return { segments, settings };
}

/** Versions that are installed come first, wherever they can be had; other package managers are asked as always. */
async function packageWishes({ root }: InitrdRequest): Promise<{ readonly hostPackages?: HostPackages }> {
  if (!(await isRegularFile(join(root, 'var/lib/dpkg/status')))) return {};
  return { hostPackages: { root, sources: ['intact', 'cache', 'repository', 'installed'] } };
}

function watchedPaths({ root }: InitrdRequest): readonly string[] {
  const ofRoot = [...configurationDirectories, ...packageState].map((path) => join(root, path));
  return [...ofRoot, join(productDirectory, 'configs/initrd')];
}

/** Files and directories that steps of the plan take from the machine. */
function hostInputs({ plan }: BuildSession): readonly string[] {
  const paths = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (isObject(value)) {
      if (typeof value['$host'] === 'string') paths.add(value['$host']);
      Object.values(value).forEach(visit);
    }
  };
  for (const step of plan.steps) visit(step.inputs);
  return [...paths].sort();
}

/** The engine's result. */
async function baseEntry(session: BuildSession, context: VerbContext): Promise<BaseContent> {
  const outputs = outputSteps(session.plan);
  const first = await evaluate(session.plan, session.environment, outputs);
  if (first.needed.length > 0) {
    try {
      await requireTools(session, first.needed);
      await executeShared(session.plan, { session, context }, outputs);
    } catch (error) {
      throw withPlaces(await explainFault(error, session.environment.store.layout.root), session.images);
    }
  }
  const { statuses } = first.needed.length > 0 ? await evaluate(session.plan, session.environment) : first;
  const entryOf = async (id: StepId | undefined): Promise<Entry | undefined> => {
    const status = id === undefined ? undefined : statuses.get(id);
    return status?.state === 'hit' ? session.environment.store.find(status.key) : undefined;
  };
  const archive = await entryOf(outputs[0]);
  if (archive === undefined) throw new Error('internal: the base was made but is not in the store');
  const entriesOf = async (kind: StepKind): Promise<readonly Entry[]> => {
    const steps = session.plan.steps.filter((step) => step.kind === kind && !step.id.startsWith('tools/'));
    const entries = await Promise.all(steps.map(({ id }) => entryOf(id)));
    return entries.filter((entry) => entry !== undefined);
  };
  const [resolved] = await entriesOf('resolve-packages');
  const layers = [...(await entriesOf('unpack-packages')), ...(await entriesOf('install-packages'))];
  return {
    archive: archive.path,
    packages:
      resolved === undefined ? [] : parseResolvedPackages(await readFile(resolved.path, 'utf8')).packages,
    owners: await pathOwners(layers),
  };
}

/** The archive is divided before it is compressed. */
function uncompressed({ context, main }: ProfiledContext): {
  readonly context: VerbContext;
  readonly compression: Compression;
} {
  const own = { setting: 'CompressOutput', text: 'none', flag: '--compress-output=none' };
  return {
    context: { ...context, assignments: [...context.assignments, own] },
    compression: compressionOf(buildable(main.config)),
  };
}

interface ProfiledContext {
  readonly context: VerbContext;
  /** As it is without what is set here. */
  readonly main: ResolvedImage;
}

/** Profiles may be switched on in a file that is read after the first ones that have profiles. */
async function withProfiles(context: VerbContext): Promise<ProfiledContext> {
  const remarks: Note[] = [];
  const keep = (event: RunEvent): void => {
    if (event.type === 'note') remarks.push(event);
  };
  const { main } = await readProject({ ...context, events: { emit: keep } });
  await requireKnownProfiles(context, remarks);
  const given = context.assignments.filter(({ setting }) => setting !== 'Profiles');
  const text = main.config.Profiles.join(',');
  const profiles = text === '' ? [] : [{ setting: 'Profiles', text, flag: `--profile=${text}` }];
  return { context: { ...context, assignments: [...given, ...profiles] }, main };
}

type Note = Extract<RunEvent, { readonly type: 'note' }>;

/**
 * A profile that is asked for by the wrong name would be missed when the machine starts.
 * @throws MkimgError `unknown-profile`
 */
async function requireKnownProfiles({ assignments }: VerbContext, remarks: readonly Note[]): Promise<void> {
  const asked = assignments
    .filter(({ setting }) => setting === 'Profiles')
    .flatMap(({ text }) => text.split(/[\s,]+/));
  const isUnknown = (name: string): boolean =>
    remarks.some(({ code, message }) => code === 'unknown-profile' && message.includes(`'${name}'`));
  const name = asked.find((word) => word !== '' && isUnknown(word));
  if (name === undefined) return;
  const known = (await namesIn(join(productDirectory, 'drop-ins/initrd'))).map((file) =>
    file.replace(/\.conf$/, ''),
  );
  const near = closest(name, known);
  throw new MkimgError('unknown-profile', `There is no profile '${name}' for initrds`, {
    hint: near === undefined ? `There are ${known.sort().join(', ')}.` : `Did you mean '${near}'?`,
    class: 'usage',
  });
}

/** The project of the base: no directory of the user's, but settings and directories to include, in this order. */
async function baseContext({ request, context }: BaseScene): Promise<VerbContext> {
  const { root, cache, assignments } = request;
  const directory = hostPath(join(cache, 'project'));
  await makeDirectory(directory, 0o700);
  const includes: string[] = ['mkimg-initrd'];
  for (const path of configurationDirectories) {
    const own = join(root, path);
    if (await isDirectory(own)) includes.push(own);
  }
  const settings: (readonly [setting: string, text: string])[] = [
    ...includes.map((path) => ['Include', path] as const),
    ['CacheDirectory', join(cache, '..')],
    ['Format', 'cpio'],
    ['Output', 'initrd'],
    ['OutputDirectory', directory],
    ...systemSettings(root),
  ];
  const own = settings.map(([setting, text]): FlagAssignment => ({
    setting,
    text,
    flag: `${setting}=${text}`,
  }));
  return {
    ...context,
    assignments: [...own, ...assignments],
    options: { ...context.options, directory, force: 0, extra: {} },
    rest: [],
  };
}

/** Distribution and release of the system, from os-release(5). */
function systemSettings(root: HostPath): readonly (readonly [string, string])[] {
  const path = ['etc/os-release', 'usr/lib/os-release']
    .map((name) => hostPath(join(root, name)))
    .find((file) => hostFiles.stat(file) !== undefined);
  if (path === undefined) return [];
  const { variables } = parseEnvironmentFile(path, hostFiles.read(path));
  const { ID: distribution, VERSION_CODENAME: codename, VERSION_ID: number } = variables;
  const release = codename ?? number;
  return [
    ...(distribution === undefined ? [] : [['Distribution', distribution] as const]),
    ...(release === undefined ? [] : [['Release', release] as const]),
  ];
}
