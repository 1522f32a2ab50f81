import { imageName } from '../base/brand.ts';
import type { ResolvedImage } from '../config/project.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import { architectures } from '../distro/architectures/index.ts';
import type { PlanBuilder } from './builder.ts';
import type { PlanFacts } from './image.ts';
import { describeImage } from './image.ts';
import { packageRequest } from './packages.ts';
import type { StepEmulator, StepTools } from './step.ts';

/**
 * How programs of a foreign architecture are run: by the interpreter that the machine has registered, of this version, or by
 * one that an image with the package of QEMU says where to get.
 */
export type EmulatorChoice =
  | { readonly kind: 'machine'; readonly version: string }
  | { readonly kind: 'image'; readonly image: ResolvedImage };

export interface EmulatorPlanning {
  readonly builder: PlanBuilder;
  readonly tools: StepTools;
  readonly facts: PlanFacts;
  /** Has each architecture of the images that this machine cannot run. */
  readonly choices: ReadonlyMap<ArchitectureName, EmulatorChoice>;
}

/** Tells what a tree's programs run with, and plans it when the first image asks; undefined where they just run. */
export function emulatorPlanner(
  planning: EmulatorPlanning,
): (architecture: ArchitectureName) => StepEmulator | undefined {
  const known = new Map<ArchitectureName, StepEmulator>();
  return (architecture) => {
    const choice = planning.choices.get(architecture);
    if (choice === undefined) return undefined;
    const emulator = known.get(architecture) ?? planEmulator(architecture, choice, planning);
    known.set(architecture, emulator);
    return emulator;
  };
}

/** One program of a package that has those of all architectures, 460 MB, so the package is not installed. */
function planEmulator(
  architecture: ArchitectureName,
  choice: EmulatorChoice,
  { builder, tools, facts }: EmulatorPlanning,
): StepEmulator {
  if (choice.kind === 'machine') return { kind: 'machine', architecture, version: choice.version };
  const image = describeImage(builder.forImage(imageName('tools'), { tools }), choice.image, { facts });
  const variant = `emulator-${architecture}`;
  const resolved = image.add(
    'resolve-packages',
    {
      repositories: image.repositories,
      request: { ...packageRequest(image, image.config.Packages), alone: true },
      architecture: image.config.Architecture,
    },
    { label: 'resolve the emulator', variant },
  );
  const program = image.add(
    'extract-files',
    { resolved, patterns: [`usr/bin/${architectures[architecture].emulator}`] },
    { label: 'fetch the emulator', variant },
  );
  return { kind: 'program', architecture, program };
}
