import { readdir } from 'node:fs/promises';
import type { HostPath, StepId } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import type { OpenedFile, OpenedFiles, OpenedTree, Ref } from '../plan/step.ts';
import type { SpecialInput } from './key.ts';
import { isSpecial } from './key.ts';
import type { Scope } from './scope.ts';
import { disposalScope } from './scope.ts';
import type { Entry } from './store.ts';
import type { TreeViews } from './views.ts';

/** A step's inputs, ready for its implementation; trees stay mounted until disposal. */
export interface OpenedInputs extends AsyncDisposable {
  readonly inputs: unknown;
  readonly toolsTree: HostPath | undefined;
}

export interface InputSources {
  /** Results of the steps that are referred to. */
  readonly entries: ReadonlyMap<StepId, Entry>;
  /** The tree that the step changes, which is mounted already. */
  readonly working: { readonly step: StepId; readonly root: HostPath } | undefined;
  readonly toolsTree: Ref | undefined;
  readonly secrets: ReadonlyMap<string, string>;
  readonly views: TreeViews;
}

/** Opens the references in a step's inputs. */
export async function openInputs(inputs: unknown, sources: InputSources): Promise<OpenedInputs> {
  const scope = disposalScope();
  try {
    const toolsTree =
      sources.toolsTree === undefined ? undefined : await openTree(sources.toolsTree, sources, scope);
    return {
      inputs: await openValue(inputs, sources, scope),
      toolsTree: toolsTree?.root,
      [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
    };
  } catch (error) {
    await scope[Symbol.asyncDispose]();
    throw error;
  }
}

async function openValue(value: unknown, sources: InputSources, scope: Scope): Promise<unknown> {
  if (value === null || typeof value !== 'object') return value;
  if (isSpecial(value)) return openSpecial(value, sources, scope);
  // One after the other: when one cannot be opened, none may still be on its way after the scope was closed.
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value as readonly unknown[]) items.push(await openValue(item, sources, scope));
    return items;
  }
  const members: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) members[name] = await openValue(member, sources, scope);
  return members;
}

async function openSpecial(value: SpecialInput, sources: InputSources, scope: Scope): Promise<unknown> {
  if ('$host' in value) return { path: value.$host };
  if ('$unkeyed' in value) return value.$unkeyed;
  if ('$secret' in value) return { reveal: () => revealSecret(value.$secret, sources) };
  return value.type === 'tree' ? openTree(value, sources, scope) : openFiles(entryOf(value, sources));
}

function revealSecret(name: string, { secrets }: InputSources): string {
  const value = secrets.get(name);
  if (value === undefined) throw new Error(`internal: no secret named ${name}`);
  return value;
}

async function openTree(ref: Ref, sources: InputSources, scope: Scope): Promise<OpenedTree> {
  if (ref.$ref === sources.working?.step) return { root: sources.working.root };
  const { root } = scope.use(await sources.views.open(entryOf(ref, sources)));
  return { root };
}

async function openFiles({ record, path }: Entry): Promise<OpenedFile | OpenedFiles> {
  const { meta, artifact } = record;
  if (artifact.type !== 'files') return { path, meta };
  return { directory: path, names: (await readdir(path)).sort(byBytes), meta };
}

function entryOf(ref: Ref, { entries }: InputSources): Entry {
  const entry = entries.get(ref.$ref);
  if (entry === undefined) throw new Error(`internal: ${ref.$ref} was not made before it was opened`);
  return entry;
}
