import type { HostPath, ImageName, StepId, TreePath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { Origin } from '../base/diagnostic.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import type { HostInput } from '../distro/inputs.ts';
import type { ExcerptName } from './excerpts.ts';
import type { StepInputs } from './vocabulary.ts';

/**
 * What a step leaves behind. `tree` is a root file system kept as overlay layers, `file` one file, `files` a directory
 * of files whose names are only known when the step ran (one per kernel, for example).
 */
export type ArtifactType = 'tree' | 'file' | 'files';

/** The output of another step. In a key it counts as that step's key, or as its content for steps that say so. */
export interface Ref<T extends RefType = RefType> {
  readonly $ref: StepId;
  readonly type: T;
  /** It is there for the step to use, but what it is does not count in the key: something else in the inputs says it all. */
  readonly unkeyed?: true;
  /** The step reads no more of the tree than this, and is keyed by it; see excerptOf(). */
  readonly excerpts?: readonly ExcerptName[];
}

/** `products`: what a kept tree step left beside its tree, such as packages that scripts made; see productsOf(). */
export type RefType = ArtifactType | 'products';

/** A reference to an output of any kind. */
export type AnyRef = { [T in RefType]: Ref<T> }[RefType];

/** What the scripts of a step put into $PACKAGEDIR, $ARTIFACTDIR and $OUTPUTDIR. */
export function productsOf({ $ref }: Ref<'tree'>): Ref<'products'> {
  return { $ref, type: 'products' };
}

export type { HostInput } from '../distro/inputs.ts';

/** A value that must not be seen. The plan holds a keyed hash; the value itself is handed to the step when it runs. */
export interface SecretInput {
  readonly $secret: string;
  readonly digest: string;
}

/** A value that does not enter the key: it cannot change the output (a directory for caching, the user's line). */
export interface Unkeyed<T> {
  readonly $unkeyed: T;
}

/**
 * The host's programs (identity: name and version of each tool that the step declares), a directory that the user named
 * (`ToolsTree=/path`; identity as for the host), or a tree made by a step of this plan (identity: that step's key).
 */
export type StepTools =
  | { readonly kind: 'host' }
  | { readonly kind: 'path'; readonly path: HostPath }
  | { readonly kind: 'tree'; readonly tree: Ref<'tree'> };

/**
 * What runs programs of a tree that the machine cannot run: an interpreter that the machine starts by itself
 * (binfmt_misc; identity: its version), or one that a step of this plan brings (identity: its content).
 */
export type StepEmulator =
  | { readonly kind: 'machine'; readonly architecture: ArchitectureName; readonly version: string }
  | { readonly kind: 'program'; readonly architecture: ArchitectureName; readonly program: Ref<'files'> };

export type StepKind = keyof StepInputs;

/** One node of the plan. */
export type Step = {
  [K in StepKind]: {
    readonly id: StepId;
    readonly kind: K;
    readonly inputs: StepInputs[K];
    /** What the user reads while it runs: `main: install packages`. */
    readonly label: string;
    /**
     * Tree steps only: true commits a layer to the store; false leaves the change on the working tree of the next step
     * of the chain, which must be the only one that refers to this step.
     */
    readonly keep: boolean;
    /** Where the programs come from that the step runs. The engine opens it, and its identity enters the key. */
    readonly tools: StepTools;
    /** Only where the step runs programs of a tree of another architecture. */
    readonly emulator?: StepEmulator;
    /** The user's line that asked for it, for errors. */
    readonly origin?: Origin;
  };
}[StepKind];

/** A file that the user gets: copied from a step's output into the output directory under `name`. */
export interface PlannedOutput {
  readonly from: AnyRef;
  /** File name in the output directory. For `files` the name of each file is appended to it after a dot. */
  readonly name: string;
  /** Further name that points at it (mkosi's `image` -> `image.raw`). */
  readonly link?: string;
  /** Each file in it (for products: in `output`) is an output under its own name; `name` stands for all of them. */
  readonly spread?: true;
}

/** What the user gets of one image. */
export interface ImageOutputs {
  readonly image: ImageName;
  /** OutputDirectory=. */
  readonly directory: HostPath;
  readonly outputs: readonly PlannedOutput[];
}

/** The whole work for one run: plain JSON, printable and comparable. Steps stand after the steps they refer to. */
export interface Plan {
  readonly steps: readonly Step[];
  /** In the order in which they are built: an image stands after those whose results it takes. */
  readonly images: readonly ImageOutputs[];
}

/** The steps whose results the user gets. */
export function outputSteps({ images }: Plan): readonly StepId[] {
  return images.flatMap(({ outputs }) => outputs.map(({ from }) => from.$ref));
}

/** Inputs as a step sees them when it runs: references are opened. */
export type Opened<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends Ref<'tree'>
    ? OpenedTree
    : T extends Ref<'file'>
      ? OpenedFile
      : T extends Ref<'files'>
        ? OpenedFiles
        : T extends Ref<'products'>
          ? OpenedProducts
          : T extends HostInput
            ? OpenedHost
            : T extends SecretInput
              ? OpenedSecret
              : T extends Unkeyed<infer U>
                ? U
                : T extends readonly (infer U)[]
                  ? readonly Opened<U>[]
                  : { readonly [K in keyof T]: Opened<T[K]> };

export interface OpenedTree {
  /** Where the tree is mounted, read-only. */
  readonly root: HostPath;
}
export interface OpenedFile {
  readonly path: HostPath;
  readonly meta: Json;
}
export interface OpenedFiles {
  readonly directory: HostPath;
  /** Names, sorted by bytes. */
  readonly names: readonly string[];
  readonly meta: Json;
}
export interface OpenedProducts {
  /** Has `packages`, `artifacts` and `output`. */
  readonly directory: HostPath;
}
export interface OpenedHost {
  readonly path: HostPath;
}
export interface OpenedSecret {
  reveal(): string;
}

/** Files that are copied to a place inside the image: the user's, or a file or a tree that another image is. */
export type TreeMapping = FileMapping | MadeTreeMapping;

/** A directory, file or archive. */
export interface FileMapping {
  readonly source: HostInput | Ref<'file'>;
  readonly target: TreePath;
  /** Owner of copied files, 0:0 when absent. Archives know theirs. */
  readonly ownership?: 'kept';
}

/** A tree that another step made, or a part of it. */
export interface MadeTreeMapping {
  readonly tree: Ref<'tree'>;
  /** What of it is copied; empty for all. */
  readonly from: TreePath;
  readonly target: TreePath;
  /** Owner of the copies: 0:0, or that of the source. */
  readonly ownership: 'root' | 'kept';
}
