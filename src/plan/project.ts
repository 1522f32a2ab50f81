import { imageName } from '../base/brand.ts';
import type { HostPath, ImageName } from '../base/brand.ts';
import { canonicalJson } from '../base/canonical.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { ConfigurationError } from '../base/errors.ts';
import { buildable } from '../config/buildable.ts';
import type { ImageConfig, ResolvedImage, SettingName } from '../config/project.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import type { ImagePlanner, PlanBuilder } from './builder.ts';
import { planBuilder } from './builder.ts';
import type { MadeOutput, NamedOutput, OtherImages } from './crossing.ts';
import { namedOutput, originOfPath, sharedNames } from './crossing.ts';
import type { EmulatorChoice } from './emulators.ts';
import { emulatorPlanner } from './emulators.ts';
import type { PlanFacts, PlannedImage } from './image.ts';
import { describeImage } from './image.ts';
import type { PlannedInitrds } from './outputs.ts';
import { planCpio, planOutputs } from './outputs.ts';
import { packageRequest } from './packages.ts';
import type { ImageOutputs, Plan, PlannedOutput, Ref, StepEmulator, StepTools } from './step.ts';
import type { PlannedTree } from './tree.ts';
import { planTree } from './tree.ts';

/** Everything that one run shall make. */
export interface PlanRequest {
  /** The images of the project, in any order. Only those that are wanted, and what they take of others, are planned. */
  readonly images: readonly ResolvedImage[];
  /** Images whose outputs the user gets; by default all. */
  readonly wanted?: readonly ImageName[];
  /** The image of the default initrd by the image that it is for; there where `needsDefaultInitrd` says so. */
  readonly initrds: ReadonlyMap<ImageName, ResolvedImage>;
  readonly tools: ToolsChoice;
  /** For each architecture of these images whose programs this machine cannot run. */
  readonly emulators?: ReadonlyMap<ArchitectureName, EmulatorChoice>;
  readonly facts: PlanFacts;
}

/** Where tools come from: as they are, or an image that this plan makes with the host's tools. */
export type ToolsChoice =
  | { readonly kind: 'host' }
  | { readonly kind: 'path'; readonly path: HostPath }
  | { readonly kind: 'image'; readonly image: ResolvedImage };

/**
 * Turns images into one graph of steps. Pure: reads no file, knows no clock. Images are ordered by what they take of each
 * other, and by nothing else.
 * @throws ConfigurationError for images that need each other, or that both make the same file
 */
export function planProject(request: PlanRequest): Plan {
  const builder = planBuilder();
  const tools = planTools(builder, request.tools, request.facts);
  const emulatorFor = emulatorPlanner({
    ...{ builder, tools, facts: request.facts, choices: request.emulators ?? new Map() },
  });
  const project = projectPlanner({ builder, request, tools, emulatorFor });
  const wanted = new Set(request.wanted ?? request.images.map(({ name }) => name));
  for (const image of request.images) if (wanted.has(image.name)) project.plan(image);
  const images = project.outputs().filter(({ image }) => wanted.has(image));
  const faults = [...project.faults, ...sharedNames(images, request.images)];
  if (faults.length > 0) throw new ConfigurationError(faults);
  return { steps: builder.steps, images };
}

/** A plan that makes a tools tree alone, for `mkimg qemu` on a host without QEMU. The tree is the last step's. */
export function planToolsOnly(image: ResolvedImage, facts: PlanFacts): Plan {
  const builder = planBuilder();
  planTools(builder, { kind: 'image', image }, facts);
  return { steps: builder.steps, images: [] };
}

/** The image boots with the initrd that mkimg builds. */
export function needsDefaultInitrd(config: Pick<ImageConfig, 'Initrds'>): boolean {
  return config.Initrds.includes('default');
}

function planTools(builder: PlanBuilder, choice: ToolsChoice, facts: PlanFacts): StepTools {
  if (choice.kind !== 'image') return choice;
  const image = describeImage(
    builder.forImage(imageName('tools'), { tools: { kind: 'host' } }),
    choice.image,
    {
      facts,
    },
  );
  const packages = image.add(
    'resolve-packages',
    {
      repositories: image.repositories,
      request: packageRequest(image, image.config.Packages),
      architecture: image.config.Architecture,
    },
    { label: 'resolve packages' },
  );
  // Tools are only run, never booted: none of the finishing matters.
  // In one layer, so that `mkimg tools` can name a directory that holds all of it.
  const tree = image.add(
    'install-packages',
    {
      resolved: packages,
      architecture: image.config.Architecture,
      documentation: false,
      bootable: false,
      environment: {},
    },
    { label: 'install packages', keep: true },
  );
  return { kind: 'tree', tree };
}

interface Scene {
  readonly builder: PlanBuilder;
  readonly request: PlanRequest;
  readonly tools: StepTools;
  readonly emulatorFor: (architecture: ArchitectureName) => StepEmulator | undefined;
}

/** An image whose steps are in the plan. */
interface Planned {
  readonly resolved: ResolvedImage;
  readonly tree: PlannedTree;
  readonly outputs: readonly PlannedOutput[];
}

interface ProjectPlanner {
  readonly faults: Diagnostic[];
  /** Plans an image and what it takes of others; undefined while it is being planned: images need each other. */
  plan(image: ResolvedImage): Planned | undefined;
  /** What was planned, in an order in which it can be built. */
  outputs(): readonly ImageOutputs[];
}

function projectPlanner(scene: Scene): ProjectPlanner {
  const planned = new Map<ImageName, Planned>();
  const begun = new Set<ImageName>();
  const initrds = initrdPlanner(scene);
  const planner: ProjectPlanner = {
    faults: [],
    plan: (resolved) => {
      const { name } = resolved;
      if (begun.has(name)) return planned.get(name);
      begun.add(name);
      const image = describe(resolved, scene, planner);
      const tree = planTree(image);
      const outputs = planOutputs(image, tree, planInitrds(image, initrds));
      planned.set(name, { resolved, tree, outputs });
      return planned.get(name);
    },
    outputs: () =>
      [...planned.values()].map(({ resolved, outputs }) => ({
        image: resolved.name,
        directory: resolved.config.OutputDirectory,
        outputs,
      })),
  };
  return planner;
}

/** The image as its steps are planned, with a way to what other images make. */
function describe(resolved: ResolvedImage, scene: Scene, planner: ProjectPlanner): PlannedImage {
  const { request } = scene;
  const others: OtherImages = {
    outputAt: (path, setting) => {
      const named = namedOutput(path, resolved.name, request.images);
      return named && madeOutput(named, { asking: resolved, setting, path }, planner);
    },
    packages: () =>
      dependenciesOf(resolved, request.images)
        .filter(({ config }) => config.BuildScripts.length > 0)
        .flatMap((image) => planner.plan(image)?.tree.packages ?? []),
    fault: (diagnostic) => void planner.faults.push(diagnostic),
  };
  return describeImage(imagePlanner(scene, resolved.name, resolved.config), resolved, {
    ...{ facts: request.facts, others },
  });
}

function imagePlanner(
  { builder, tools, emulatorFor }: Scene,
  name: ImageName,
  config: ImageConfig,
): ImagePlanner {
  const emulator = emulatorFor(buildable(config).Architecture);
  return builder.forImage(name, { tools, ...(emulator === undefined ? {} : { emulator }) });
}

/** The images of Dependencies=, and those of theirs. */
export function dependenciesOf(
  image: ResolvedImage,
  images: readonly ResolvedImage[],
): readonly ResolvedImage[] {
  const found = new Set<ResolvedImage>();
  const pending = [...image.config.Dependencies];
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    const next = images.find((candidate) => candidate.name === name);
    if (next === undefined || next === image || found.has(next)) continue;
    found.add(next);
    pending.push(...next.config.Dependencies);
  }
  return [...found];
}

interface Question {
  readonly asking: ResolvedImage;
  readonly setting: SettingName;
  readonly path: HostPath;
}

function madeOutput(
  { maker, name, inside }: NamedOutput,
  question: Question,
  planner: ProjectPlanner,
): MadeOutput | undefined {
  const made = planner.plan(maker);
  if (made === undefined) {
    planner.faults.push(
      crossingFault(question, 'image-loop', `${maker.name} needs ${question.asking.name} itself`),
    );
    return undefined;
  }
  const output = made.outputs.find((candidate) => candidate.name === name || candidate.link === name);
  if (output === undefined) {
    const names = made.outputs.map((candidate) => candidate.name).join(', ');
    planner.faults.push(crossingFault(question, 'missing-output', `${maker.name} makes ${names}`));
    return undefined;
  }
  const isMain = output.link !== undefined || output.from.type === 'tree';
  return {
    ...{ name: output.name, from: output.from, inside, isDirectory: output.from.type === 'tree' },
    tree: isMain ? made.tree.root : undefined,
  };
}

function crossingFault({ asking, setting, path }: Question, code: string, reason: string): Diagnostic {
  return {
    ...{ severity: 'error', code },
    message: `${setting}= of ${asking.name} wants ${path}, but the image ${reason}`,
    origin: originOfPath(asking, setting, path),
  };
}

/** The default initrd of an image. */
interface DefaultInitrd {
  readonly archive: Ref<'file'>;
  readonly modules: readonly string[];
}

/** Replaces `default` in the image's initrds by the step that makes it. */
function planInitrds(
  image: PlannedImage,
  defaultInitrd: (image: ImageName) => DefaultInitrd,
): PlannedInitrds {
  const listed = image.config.Initrds;
  const segments = listed.map((entry) => {
    if (entry === 'default') return defaultInitrd(image.image).archive;
    const made = image.others.outputAt(entry, 'Initrds')?.from;
    return made?.type === 'file' ? made : { $host: entry };
  });
  return { segments, modules: listed.includes('default') ? defaultInitrd(image.image).modules : [] };
}

/** Plans default initrds, each different one once, however many images begin with it. */
function initrdPlanner(scene: Scene): (image: ImageName) => DefaultInitrd {
  const { request } = scene;
  const made = new Map<string, DefaultInitrd>();
  const names = new Set<ImageName>();
  return (owner) => {
    const resolved = request.initrds.get(owner);
    if (resolved === undefined) throw new Error('internal: the default initrd was not loaded');
    const { config, environment } = resolved;
    const { configJson, secretDigest } = request.facts;
    // The configuration's JSON shows no secrets.
    const password = config.RootPassword && secretDigest(config.RootPassword.value);
    const identity = canonicalJson({ config: configJson(resolved), environment, password });
    const known = made.get(identity);
    if (known !== undefined) return known;
    const name = names.has(resolved.name) ? imageName(`${resolved.name}-${owner}`) : resolved.name;
    names.add(name);
    const image = describeImage(imagePlanner(scene, name, config), resolved, { facts: request.facts });
    const initrd = { archive: planCpio(image, planTree(image)), modules: config.KernelInitrdModules };
    made.set(identity, initrd);
    return initrd;
  };
}
