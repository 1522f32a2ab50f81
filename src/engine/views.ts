import type { HostPath, StepKey } from '../base/brand.ts';
import type { TreeMounter } from './environment.ts';
import type { Entry, Store } from './store.ts';

/** A tree that can be read at `root` until it is given back. */
export interface TreeView extends AsyncDisposable {
  readonly root: HostPath;
}

/** Trees of the store, opened for reading. Each is mounted once, however many read it, and unmounted after the last. */
export interface TreeViews {
  open(tree: Entry): Promise<TreeView>;
}

interface SharedView {
  users: number;
  readonly mounted: Promise<TreeView>;
}

export function treeViews(store: Store, mounter: TreeMounter): TreeViews {
  const shared = new Map<StepKey, SharedView>();
  return {
    open: async (tree) => {
      const { key } = tree.record;
      const view = shared.get(key) ?? { users: 0, mounted: mountTree(tree, store, mounter) };
      shared.set(key, view);
      view.users += 1;
      try {
        const { root } = await view.mounted;
        return { root, [Symbol.asyncDispose]: () => giveBack(shared, key, view) };
      } catch (error) {
        shared.delete(key);
        throw error;
      }
    },
  };
}

async function giveBack(shared: Map<StepKey, SharedView>, key: StepKey, view: SharedView): Promise<void> {
  view.users -= 1;
  if (view.users > 0) return;
  shared.delete(key);
  await (await view.mounted)[Symbol.asyncDispose]();
}

async function mountTree(tree: Entry, store: Store, mounter: TreeMounter): Promise<TreeView> {
  const stage = await store.stage();
  try {
    const mount = await mounter.readOnly(await layerPaths(tree, store), stage.mountPoint);
    return {
      root: stage.mountPoint,
      [Symbol.asyncDispose]: async () => {
        await mount[Symbol.asyncDispose]();
        await stage[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}

/** The directories of a tree's layers, bottom first. */
export async function layerPaths(tree: Entry, store: Store): Promise<readonly HostPath[]> {
  return Promise.all(
    tree.record.layers.map(async (key) => {
      if (key === tree.record.key) return tree.path;
      const layer = await store.find(key);
      if (layer === undefined) throw new Error(`internal: the layer ${key} of ${tree.record.key} is gone`);
      return layer.path;
    }),
  );
}
