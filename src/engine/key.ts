import type { StepKey } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { digestJson } from '../base/canonical.ts';
import type { HostInput, Ref, SecretInput, Unkeyed } from '../plan/step.ts';
import { stepKey } from './record.ts';

/** The special values that a step's inputs may hold at any depth. */
export type SpecialInput = Ref | HostInput | SecretInput | Unkeyed<unknown>;

/** What the parts of the inputs count as in the key. */
export interface InputIdentity {
  ref(ref: Ref): Promise<Json>;
  host(input: HostInput): Promise<Json>;
}

/** All that a key is made of. Whatever can change a step's output stands here, and nothing else does. */
export interface StepIdentity {
  readonly kind: string;
  /** The implementation's version. */
  readonly version: number;
  /** inputIdentity() of the inputs. */
  readonly inputs: Json;
  /** The key of the tools tree, or names and versions of the tools. */
  readonly tools: Json;
  /** What runs programs of another architecture. */
  readonly emulator?: Json;
  /** `flat`: made where only one user id is mapped, so all files belong to it. */
  readonly ownership: 'full' | 'flat';
  /** State of the world outside, such as that of package repositories. */
  readonly state?: string;
}

/** The key of a step. */
export function keyOf(identity: StepIdentity): StepKey {
  return stepKey(digestJson(identityJson(identity)));
}

/** The identity as plain data, for records. */
export function identityJson({ emulator, state, ...identity }: StepIdentity): Json {
  return {
    ...identity,
    ...(emulator === undefined ? {} : { emulator }),
    ...(state === undefined ? {} : { state }),
  };
}

/**
 * Inputs as they enter the key: references and host files by what they hold, secrets by their keyed hash, unkeyed values
 * not at all. The rest stands as it is.
 */
export async function inputIdentity(inputs: unknown, identity: InputIdentity): Promise<Json | undefined> {
  if (inputs === undefined) return undefined;
  if (inputs === null || typeof inputs !== 'object') return scalar(inputs);
  if (isSpecial(inputs)) return specialIdentity(inputs, identity);
  if (Array.isArray(inputs)) {
    const items = await Promise.all(inputs.map((item: unknown) => inputIdentity(item, identity)));
    return items.map((item) => item ?? null);
  }
  const members = await Promise.all(
    Object.entries(inputs).map(
      async ([name, value]) => [name, await inputIdentity(value, identity)] as const,
    ),
  );
  return Object.fromEntries(members.filter(([, value]) => value !== undefined));
}

async function specialIdentity(input: SpecialInput, identity: InputIdentity): Promise<Json | undefined> {
  if ('$ref' in input) return input.unkeyed === true ? undefined : { $ref: await identity.ref(input) };
  if ('$host' in input) return { $host: await identity.host(input) };
  if ('$secret' in input) return { $secret: input.digest };
  return undefined;
}

function scalar(value: unknown): Json {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value;
  if (value === null) return value;
  throw new Error(`internal: a step's inputs hold a ${typeof value}`);
}

const marks = ['$ref', '$host', '$secret', '$unkeyed'] as const;

/** True for references, host files, secrets and unkeyed values. */
export function isSpecial(value: object): value is SpecialInput {
  return marks.some((mark) => Object.hasOwn(value, mark));
}

/** All references in a step's inputs, in the order they stand. */
export function referencesIn(inputs: unknown): readonly Ref[] {
  if (inputs === null || typeof inputs !== 'object') return [];
  if (isSpecial(inputs)) return '$ref' in inputs ? [inputs] : [];
  return Object.values(inputs).flatMap(referencesIn);
}

/** All files and directories of the user's in a step's inputs. */
export function hostInputsIn(inputs: unknown): readonly HostInput[] {
  if (inputs === null || typeof inputs !== 'object') return [];
  if (isSpecial(inputs)) return '$host' in inputs ? [inputs] : [];
  return Object.values(inputs).flatMap(hostInputsIn);
}

/** One place where two identities differ, such as `inputs.trees.0.source`. */
export interface IdentityChange {
  readonly path: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

/**
 * Where two identities differ, deepest places only: why a step has another key than last time. Of lists of plain values, it
 * is the values that came and went which count, each at the path of the list.
 */
export function compareIdentities(
  before: Json | undefined,
  after: Json | undefined,
  path = '',
): readonly IdentityChange[] {
  if (isWordList(before) && isWordList(after)) return compareLists(before, after, path);
  if (isTree(before) && isTree(after)) {
    const [left, right] = [before, after];
    const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    return names.flatMap((name) =>
      compareIdentities(left[name], right[name], path === '' ? name : `${path}.${name}`),
    );
  }
  return before === after ? [] : [{ path, before, after }];
}

function isTree(value: Json | undefined): value is { readonly [key: string]: Json | undefined } {
  return typeof value === 'object' && value !== null;
}

function isWordList(value: Json | undefined): value is readonly (string | number)[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' || typeof item === 'number');
}

function compareLists(
  before: readonly (string | number)[],
  after: readonly (string | number)[],
  path: string,
): readonly IdentityChange[] {
  const gone = before.filter((item) => !after.includes(item));
  const come = after.filter((item) => !before.includes(item));
  const changes = [
    ...gone.map((item) => ({ path, before: item, after: undefined })),
    ...come.map((item) => ({ path, before: undefined, after: item })),
  ];
  const isSame = before.length === after.length && before.every((item, index) => item === after[index]);
  // The same values in another order, or one more often than before.
  return changes.length > 0 || isSame ? changes : [{ path, before, after }];
}
