import type { HostPath, StepId } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { EventSink } from '../base/events.ts';
import type { HostInput, Step, StepKind, StepTools } from '../plan/step.ts';
import type { Emulator, Sandbox, ToolsRoot } from '../sandbox/types.ts';
import type { BuildContext, MetadataPolicy, StateContext, ToolNeed } from '../steps/implementation.ts';
import type { HostDigests } from './digest.ts';
import type { History } from './history.ts';
import type { StepIdentity } from './key.ts';
import type { SharedCache } from './shared/shared-cache.ts';
import type { Store } from './store.ts';

/** A step's implementation as the engine sees it: the kind of its inputs is not known here. See steps/catalogue.ts. */
export type AnyStep = AnyTreeStep | AnyFileStep;

export interface AnyTreeStep {
  readonly output: 'tree';
  readonly version: number;
  readonly tools: readonly ToolNeed[];
  readonly memory?: number;
  readonly fresh?: boolean;
  readonly layer?: boolean;
  mayChange?(inputs: unknown): readonly HostInput[];
  needs?(inputs: unknown): Promise<number | undefined>;
  run(inputs: unknown, root: HostPath, context: BuildContext): Promise<void>;
}

export interface AnyFileStep {
  readonly output: 'file' | 'files';
  readonly version: number;
  readonly tools: readonly ToolNeed[];
  readonly memory?: number;
  readonly contentKeyed?: boolean;
  keyTools?(inputs: unknown): readonly ToolNeed[];
  state?(inputs: unknown, context: StateContext): Promise<string | undefined>;
  needs?(inputs: unknown): Promise<number | undefined>;
  run(inputs: unknown, target: HostPath, context: BuildContext): Promise<Json | undefined>;
}

export type Catalogue = Readonly<Record<StepKind, AnyStep>>;

/** Tools that no step of the plan makes. */
export type PresentTools = Exclude<StepTools, { readonly kind: 'tree' }>;

/** What telling hits from misses needs: no namespace, no process. */
export interface EvaluationEnvironment {
  readonly store: Store;
  readonly catalogue: Catalogue;
  readonly digests: HostDigests;
  /** `flat` where only one user id is (or will be) mapped. */
  readonly ownership: 'full' | 'flat';
  /** Names and versions of tools, for the key. May start a process the first time it sees a tool. */
  identifyTools(needs: readonly ToolNeed[], tools: PresentTools): Promise<Json>;
  readonly metadataPolicy: MetadataPolicy;
}

/** What one step's sandbox is made for. */
export interface SandboxRequest {
  readonly step: StepId;
  readonly tools: ToolsRoot;
  readonly emulator?: Emulator;
  readonly signal: AbortSignal;
}

/** Mounts trees; overlayfs in production. Layers stand bottom first. */
export interface TreeMounter {
  /** A view of the layers at `target`, an empty directory, that cannot be written to. */
  readOnly(layers: readonly HostPath[], target: HostPath): Promise<AsyncDisposable>;
  /** A view at `target` whose changes land in `upper`. `work` is empty and on the same file system as `upper`. */
  writable(spec: WritableMount): Promise<AsyncDisposable>;
}

export interface WritableMount {
  readonly layers: readonly HostPath[];
  readonly upper: HostPath;
  readonly work: HostPath;
  readonly target: HostPath;
}

/** What running steps needs. */
export interface EngineEnvironment extends EvaluationEnvironment {
  sandboxFor(request: SandboxRequest): Sandbox;
  readonly mounter: TreeMounter;
  readonly events: EventSink;
  readonly signal: AbortSignal;
  /** How many steps run at the same time; also the number of CPUs that each may use. */
  readonly jobs: number;
  /** Values of SecretInput by name. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Results of other machines. */
  readonly shared?: SharedCache;
  /** Takes down what results were made from. */
  readonly history?: History;
  /** Called before a step runs (`run`) and when its stored result is taken (`hit`). */
  readonly onDecision?: (decision: Decision) => Promise<void>;
}

/** What is done about a step, and what its key was computed from where that is known before it runs. */
export interface Decision {
  readonly step: Step;
  readonly state: 'hit' | 'run';
  readonly identity: StepIdentity | undefined;
}
