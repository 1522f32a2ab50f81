import type { HostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { Origin } from '../base/diagnostic.ts';
import type { EventSink } from '../base/events.ts';
import type { ExcerptName } from '../plan/excerpts.ts';
import type { HostInput, Opened, StepKind } from '../plan/step.ts';
import type { StepInputs } from '../plan/vocabulary.ts';
import type { Sandbox, ToolNeed } from '../sandbox/types.ts';

export type { ToolNeed } from '../sandbox/types.ts';

/** When package indexes are fetched anew. */
export interface MetadataPolicy {
  /** `never`: use what is there, fail when nothing is; `always`: ask the mirror; `aged`: ask when older than maxAge. */
  readonly refresh: 'never' | 'always' | 'aged';
  /** Milliseconds. */
  readonly maxAge: number;
}

/** What a step may look at before it runs, to tell whether it must. */
export interface StateContext {
  readonly metadataCache: HostPath;
  readonly metadataPolicy: MetadataPolicy;
}

/** Files by digest, on another machine. Never fails: what cannot be had there is not there. */
export interface SharedFiles {
  /** Brings a file, whose content is checked, to `target`, which does not exist; false when it is not to be had. */
  fetch(file: { readonly sha256: string; readonly bytes: number }, target: HostPath): Promise<boolean>;
  /** Stores a file in the background. */
  offer(sha256: string, file: HostPath): void;
}

/** A result smaller than a step's that several steps share, such as the content of one package. */
export interface Part {
  readonly kind: string;
  /** Raise it when the making changes. */
  readonly version: number;
  readonly label: string;
  /** All that can change the content, but for the tools of the step. */
  readonly identity: Json;
  /** Whether the step's tools can change the content. */
  readonly byTools: boolean;
  /** Where in the content a list of MD5 digests is, if there is one, and the directory that its names are relative to. */
  readonly checksums?: { readonly list: string; readonly below: string };
}

/** Parts are kept like results of steps: found by what they were made from, checked, trimmed when unused. */
export interface PartStore {
  /**
   * The directories of these parts, in their order; nobody may write to them. What is not there yet is made by one call of
   * `make`, which gives a directory below `work` for each missing part. A part that another step of this run is making is
   * waited for. `done` may be called for parts that are whole before all are: they are kept, and whoever waits for them gets
   * them, while the others are made.
   */
  obtain<T extends Part>(
    parts: readonly T[],
    make: (
      missing: readonly T[],
      done: (part: T, directory: HostPath) => void,
    ) => Promise<readonly HostPath[]>,
  ): Promise<readonly HostPath[]>;
}

/** What a step may use while it runs. */
export interface BuildContext {
  readonly events: EventSink;
  readonly sandbox: Sandbox;
  /** Empty scratch directory on the store's file system; removed afterwards. */
  readonly work: HostPath;
  /**
   * Tree steps that are kept: a directory, not there yet, for what they make beside their tree. It is kept with the tree, and
   * later steps refer to it with productsOf().
   */
  readonly products: HostPath;
  /** The mkimg cache directory's `packages/`: downloaded packages by SHA-256, shared by all builds. */
  readonly packagePool: HostPath;
  readonly parts: PartStore;
  /** The mkimg cache directory's `metadata/`: package indexes by repository set. */
  readonly metadataCache: HostPath;
  /** Where package files may be had besides the mirrors. */
  readonly sharedFiles?: SharedFiles;
  readonly signal: AbortSignal;
  readonly origin: Origin | undefined;
  readonly metadataPolicy: MetadataPolicy;
  /**
   * Steps that make a new tree: says what all that the tree has in an excerpt was made from, so that it need not be read to
   * tell it from another's.
   */
  madeFrom(excerpt: ExcerptName, identity: Json): void;
  /**
   * Tree steps: names what the tree has in an excerpt now; another tree of the same state has the same there. undefined
   * where that is not known.
   */
  stateOf(excerpt: ExcerptName): Promise<string | undefined>;
  /** CPUs to use inside a step. */
  readonly jobs: number;
  /**
   * Waits until no other step, of this process or another, holds the lock `path`, a file name in a directory that exists.
   * Released by disposal or by the process's death. The engine hands in its acquireLock().
   */
  lock(path: HostPath): Promise<AsyncDisposable>;
  /** Reports progress of the running step. */
  progress(done: number, total: number | undefined, unit: 'bytes' | 'items', note?: string): void;
}

/** A step that changes a tree in place. `root` is where the tree is mounted, writable. */
export interface TreeStep<K extends StepKind> {
  readonly output: 'tree';
  /** Raise it when the behaviour changes: it is part of the key. */
  readonly version: number;
  readonly tools: readonly ToolNeed[];
  /** Bytes that the step and its programs may need at a time, where these are many. */
  readonly memory?: number;
  /** The step fills an empty tree, which is its output; `inputs.base` is opened read-only, not changed. */
  readonly fresh?: boolean;
  /**
   * The step fills the layer itself: an empty directory, which is then laid over `inputs.base`, opened read-only. For what
   * cannot be done through an overlay, such as linking files into it. Stands alone in its chain, and removes nothing.
   */
  readonly layer?: boolean;
  /** Files of the user's that the step itself may write to while it runs. All others must stay as they are meanwhile. */
  mayChange?(inputs: StepInputs[K]): readonly HostInput[];
  /** Bytes that the step is going to write, for who is out of space; undefined where it cannot tell. */
  needs?(inputs: Opened<StepInputs[K]>): Promise<number | undefined>;
  run(inputs: Opened<StepInputs[K]>, root: HostPath, context: BuildContext): Promise<void>;
}

/** A step that makes a file (`file`) or a directory of files (`files`) at `target`, which does not exist yet. */
export interface FileStep<K extends StepKind> {
  readonly output: 'file' | 'files';
  readonly version: number;
  readonly tools: readonly ToolNeed[];
  /** The tools whose versions can change the output that is made from these inputs; all of them when absent. */
  keyTools?(inputs: StepInputs[K]): readonly ToolNeed[];
  /** Bytes that the step and its programs may need at a time, where these are many. */
  readonly memory?: number;
  /**
   * In keys of later steps the content of the output counts, not the key of this step. A step that knows better than its
   * bytes what counts puts a digest of that into its meta as `content`.
   */
  readonly contentKeyed?: boolean;
  /**
   * The state of something outside the inputs that enters the key, such as the state of repositories; cheap, starts no
   * process. undefined: not known, or too old, so the step must run (it then updates the state, and is keyed by the new one).
   */
  state?(inputs: StepInputs[K], context: StateContext): Promise<string | undefined>;
  /** Bytes that the step is going to write, for who is out of space; undefined where it cannot tell. */
  needs?(inputs: Opened<StepInputs[K]>): Promise<number | undefined>;
  run(inputs: Opened<StepInputs[K]>, target: HostPath, context: BuildContext): Promise<Json | undefined>;
}

export type StepImplementation<K extends StepKind> = TreeStep<K> | FileStep<K>;
