import type { ImageName, StepId } from '../base/brand.ts';
import { stepId } from '../base/brand.ts';
import type { Origin } from '../base/diagnostic.ts';
import type { ArtifactType, Ref, Step, StepEmulator, StepKind, StepTools } from './step.ts';
import type { StepInputs } from './vocabulary.ts';

/** Which kind of artifact each kind of step makes; steps/catalogue.ts must agree (a contract test compares them). */
const outputTypes = {
  'resolve-packages': 'file',
  'extract-files': 'files',
  'select-base': 'file',
  'extract-packages': 'file',
  'unpack-packages': 'tree',
  'install-packages': 'tree',
  'apt-sources': 'tree',
  'remove-packages': 'tree',
  'clean-package-metadata': 'tree',
  'copy-trees': 'tree',
  'merge-tree': 'tree',
  'run-scripts': 'tree',
  'run-build-scripts': 'tree',
  'run-postoutput-scripts': 'tree',
  'remove-files': 'tree',
  'remove-unused-libraries': 'tree',
  'check-dlopens': 'tree',
  'add-dlopens': 'file',
  'place-kernels': 'tree',
  'index-modules': 'file',
  depmod: 'tree',
  hwdb: 'tree',
  sysusers: 'tree',
  tmpfiles: 'tree',
  presets: 'tree',
  identity: 'tree',
  firstboot: 'tree',
  autologin: 'tree',
  'make-initrd': 'tree',
  'install-boot-loader': 'tree',
  'clean-traces': 'tree',
  manifest: 'file',
  'pack-cpio': 'file',
  'pack-tar': 'file',
  'pack-directory': 'tree',
  'pack-kernel-modules': 'files',
  'join-initrds': 'files',
  'extract-kernels': 'files',
  'build-uki': 'files',
  'make-file-system': 'file',
  'build-grub': 'files',
  'build-disk': 'file',
  'pick-newest': 'file',
  compress: 'file',
} as const satisfies Readonly<Record<StepKind, ArtifactType>>;

export type OutputTypeOf<K extends StepKind> = (typeof outputTypes)[K];

export function outputType(kind: StepKind): ArtifactType {
  return outputTypes[kind];
}

export interface StepOptions {
  /** What is done, as the user reads it: `install packages`. */
  readonly label: string;
  /** Commit a tree step's layer to the store. Default: yes for files, no for trees. */
  readonly keep?: boolean;
  readonly origin?: Origin;
  /** Tells two steps of one kind in one image apart: `install-packages:build`. */
  readonly variant?: string;
}

/** Kinds that run programs of the tree. All others are done by tools, whatever the tree's architecture. */
const emulatedKinds: ReadonlySet<StepKind> = new Set<StepKind>([
  'install-packages',
  'remove-packages',
  'run-scripts',
  'run-build-scripts',
]);

/** What an image's steps run with. */
export interface StepPrograms {
  readonly tools: StepTools;
  /** For images of an architecture whose programs the machine cannot run. */
  readonly emulator?: StepEmulator;
}

/** Collects steps in an order in which each stands after those it refers to. */
export interface PlanBuilder {
  readonly steps: readonly Step[];
  /** Adds steps for one image. */
  forImage(image: ImageName, programs: StepPrograms): ImagePlanner;
}

export interface ImagePlanner {
  readonly image: ImageName;
  add<K extends StepKind>(kind: K, inputs: StepInputs[K], options: StepOptions): Ref<OutputTypeOf<K>>;
}

export function planBuilder(): PlanBuilder {
  const steps: Step[] = [];
  const ids = new Set<StepId>();
  return {
    steps,
    forImage: (image, { tools, emulator }) => ({
      image,
      add: (kind, inputs, options) => {
        const id = freshId(
          ids,
          [image, kind].join('/') + (options.variant === undefined ? '' : `:${options.variant}`),
        );
        const type = outputTypes[kind];
        const keep = options.keep ?? type !== 'tree';
        const origin = options.origin === undefined ? {} : { origin: options.origin };
        // The one dispatch over kinds: TypeScript cannot relate K to the union's member.
        steps.push({
          id,
          kind,
          inputs,
          label: `${image}: ${options.label}`,
          keep,
          tools,
          ...(emulator !== undefined && emulatedKinds.has(kind) ? { emulator } : {}),
          ...origin,
        } as unknown as Step);
        return { $ref: id, type };
      },
    }),
  };
}

function freshId(ids: Set<StepId>, wanted: string): StepId {
  const id = stepId(wanted);
  if (ids.has(id)) throw new Error(`internal: two steps named ${wanted}`);
  ids.add(id);
  return id;
}
