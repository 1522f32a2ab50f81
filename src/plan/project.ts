import { imageName } from '../base/brand.ts';
import type { HostPath } from '../base/brand.ts';
import type { ImageConfig, ResolvedImage } from '../config/project.ts';
import type { PlanBuilder } from './builder.ts';
import { planBuilder } from './builder.ts';
import type { PlanFacts, PlannedImage } from './image.ts';
import { asksForKernel, describeImage } from './image.ts';
import type { InitrdSegments } from './outputs.ts';
import { planCpio, planOutputs } from './outputs.ts';
import { packageRequest } from './packages.ts';
import type { Plan, PlannedOutput, StepTools } from './step.ts';
import { planTree } from './tree.ts';

/** Everything that one run shall make. */
export interface PlanRequest {
  readonly main: ResolvedImage;
  /** Image of the default initrd; present where `needsDefaultInitrd` says so. */
  readonly initrd?: ResolvedImage;
  readonly tools: ToolsChoice;
  readonly facts: PlanFacts;
}

/** Where tools come from: as they are, or an image that this plan makes with the host's tools. */
export type ToolsChoice =
  | { readonly kind: 'host' }
  | { readonly kind: 'path'; readonly path: HostPath }
  | { readonly kind: 'image'; readonly image: ResolvedImage };

/** Turns images into one graph of steps. Pure: reads no file, knows no clock. */
export function planProject(request: PlanRequest): Plan {
  const builder = planBuilder();
  const tools = planTools(builder, request.tools, request.facts);
  const main = describeImage(builder.forImage(request.main.name, tools), request.main, request.facts);
  const initrds = planInitrds(main, { builder, request, tools });
  const tree = planTree(main);
  const outputs = planOutputs(main, tree, initrds);
  return plan(builder, outputs, request.main.config.OutputDirectory);
}

/** A plan that makes a tools tree alone, for `mkimg qemu` on a host without QEMU. The tree is the last step's. */
export function planToolsOnly(image: ResolvedImage, facts: PlanFacts): Plan {
  const builder = planBuilder();
  planTools(builder, { kind: 'image', image }, facts);
  return plan(builder, [], image.config.OutputDirectory);
}

/** Initrds= says `default`, or says nothing and the image boots. */
export function needsDefaultInitrd(config: ImageConfig): boolean {
  if (config.Initrds !== undefined) return config.Initrds.includes('default');
  return (
    asksForKernel(config) &&
    config.Bootable !== false &&
    (config.Format === 'disk' || config.Format === 'directory')
  );
}

function plan(builder: PlanBuilder, outputs: readonly PlannedOutput[], outputDirectory: HostPath): Plan {
  return { steps: builder.steps, outputs, outputDirectory };
}

function planTools(builder: PlanBuilder, choice: ToolsChoice, facts: PlanFacts): StepTools {
  if (choice.kind !== 'image') return choice;
  const image = describeImage(builder.forImage(imageName('tools'), { kind: 'host' }), choice.image, facts);
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
}

function planInitrds(main: PlannedImage, scene: Scene): InitrdSegments {
  const listed = main.config.Initrds ?? (needsDefaultInitrd(main.config) ? (['default'] as const) : []);
  return listed.map((entry) => (entry === 'default' ? planDefaultInitrd(scene) : { $host: entry }));
}

function planDefaultInitrd({ builder, request, tools }: Scene): InitrdSegments[number] {
  if (request.initrd === undefined) throw new Error('internal: the default initrd was not loaded');
  const image = describeImage(builder.forImage(request.initrd.name, tools), request.initrd, request.facts);
  return planCpio(image, planTree(image));
}
