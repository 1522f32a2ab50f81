import type { HostPath, StepId } from '../../base/brand.ts';
import { digestJson } from '../../base/canonical.ts';
import { MkimgError } from '../../base/errors.ts';
import { isDirectory } from '../../base/files.ts';
import type { Step } from '../../plan/step.ts';
import { missingToolsError, probeTools } from '../../sandbox/tools.ts';
import type { ToolsRoot } from '../../sandbox/types.ts';
import { catalogue } from '../../steps/catalogue.ts';
import { requireEmulator } from './emulators.ts';
import type { BuildSession } from './session.ts';
import { probeCache } from './session.ts';

/**
 * Makes sure that the steps which will run find their programs, before any of them runs. Trees of mkimg's own making have
 * them.
 * @throws MkimgError `tool-missing`, `tool-too-old`, `tools-tree-missing`, `no-emulator`
 */
export async function requireTools(session: BuildSession, needed: readonly StepId[]): Promise<void> {
  const steps = session.plan.steps.filter(({ id }) => needed.includes(id));
  requireEmulator(steps);
  const places = new Map<string, { readonly root: ToolsRoot; readonly steps: Step[] }>();
  for (const step of steps) {
    const root = rootOf(step);
    if (root === undefined) continue;
    const name = digestJson({ ...root });
    const place = places.get(name) ?? { root, steps: [] };
    places.set(name, place);
    place.steps.push(step);
  }
  for (const { root, steps: users } of places.values()) {
    if (root.kind === 'tree' && !(await isDirectory(root.path))) throw noTree(root.path);
    const needs = users.flatMap(({ kind }) => catalogue[kind].tools);
    const { missing } = await probeTools(needs, root, probeCache(session.environment.store.layout));
    if (missing.length > 0) throw missingToolsError(missing, root);
  }
}

function noTree(path: HostPath): MkimgError {
  return new MkimgError('tools-tree-missing', `There is no directory ${path}`, {
    hint: 'ToolsTree=default lets mkimg make a tree of tools.',
    class: 'usage',
  });
}

function rootOf({ tools }: Step): ToolsRoot | undefined {
  if (tools.kind === 'tree') return undefined;
  return tools.kind === 'host' ? tools : { kind: 'tree', path: tools.path };
}
