import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepId } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { Resources } from '../base/disposal.ts';
import { architectures } from '../distro/architectures/index.ts';
import type { OpenedFile, OpenedFiles, OpenedTree, Ref, StepEmulator } from '../plan/step.ts';
import type { Emulator } from '../sandbox/types.ts';
import type { SpecialInput } from './key.ts';
import { isSpecial } from './key.ts';
import { productsPath } from './layout.ts';
import type { Entry } from './store.ts';
import type { TreeViews } from './views.ts';

/** A step's inputs, ready for its implementation; trees stay mounted until disposal. */
export interface OpenedInputs extends AsyncDisposable {
  readonly inputs: unknown;
  readonly toolsTree: HostPath | undefined;
  readonly emulator: Emulator | undefined;
}

export interface InputSources {
  /** Results of the steps that are referred to. */
  readonly entries: ReadonlyMap<StepId, Entry>;
  /** The tree that the step changes, which is mounted already. */
  readonly working: { readonly step: StepId; readonly root: HostPath } | undefined;
  readonly toolsTree: Ref | undefined;
  readonly emulator: StepEmulator | undefined;
  readonly secrets: ReadonlyMap<string, string>;
  readonly views: TreeViews;
}

/** Opens the references in a step's inputs. */
export async function openInputs(inputs: unknown, sources: InputSources): Promise<OpenedInputs> {
  await using trees = new Resources();
  const toolsTree =
    sources.toolsTree === undefined ? undefined : await openTree(sources.toolsTree, sources, trees);
  const opened = await openValue(inputs, sources, trees);
  const kept = trees.move();
  return {
    inputs: opened,
    toolsTree: toolsTree?.root,
    emulator: sources.emulator && openEmulator(sources.emulator, sources),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

/** The machine's own interpreters need nothing. */
function openEmulator(emulator: StepEmulator, sources: InputSources): Emulator | undefined {
  if (emulator.kind === 'machine') return undefined;
  const { architecture, program } = emulator;
  const { path } = entryOf(program, sources);
  return { architecture, program: hostPath(join(path, architectures[architecture].emulator)) };
}

async function openValue(value: unknown, sources: InputSources, trees: Resources): Promise<unknown> {
  if (value === null || typeof value !== 'object') return value;
  if (isSpecial(value)) return openSpecial(value, sources, trees);
  // One after the other: when one cannot be opened, none may still be on its way after the trees were closed.
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value as readonly unknown[]) items.push(await openValue(item, sources, trees));
    return items;
  }
  const members: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) members[name] = await openValue(member, sources, trees);
  return members;
}

async function openSpecial(value: SpecialInput, sources: InputSources, trees: Resources): Promise<unknown> {
  if ('$host' in value) return { path: value.$host };
  if ('$unkeyed' in value) return value.$unkeyed;
  if ('$secret' in value) return { reveal: () => revealSecret(value.$secret, sources) };
  if (value.type === 'products') return { directory: productsPath(entryOf(value, sources).path) };
  return value.type === 'tree' ? openTree(value, sources, trees) : openFiles(entryOf(value, sources));
}

function revealSecret(name: string, { secrets }: InputSources): string {
  const value = secrets.get(name);
  if (value === undefined) throw new Error(`internal: no secret named ${name}`);
  return value;
}

async function openTree(ref: Ref, sources: InputSources, trees: Resources): Promise<OpenedTree> {
  if (ref.$ref === sources.working?.step) return { root: sources.working.root };
  const { root } = trees.use(await sources.views.open(entryOf(ref, sources)));
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
