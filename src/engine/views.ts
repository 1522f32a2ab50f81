import type { HostPath, StepKey } from '../base/brand.ts';
import type { TreeMounter } from './environment.ts';
import type { Entry, Store } from './store.ts';

/** A tree that can be read at `root` until it is given back. */
export interface TreeView extends AsyncDisposable {
  readonly root: HostPath;
}

/**
 * Trees of the store, opened for reading. Each is mounted once, however many read it, and stays so for the steps that read
 * it next: mounting the tools anew for each step took as long as the shorter steps. Disposal unmounts what nobody reads.
 */
export interface TreeViews extends AsyncDisposable {
  open(tree: Entry): Promise<TreeView>;
}

interface SharedView {
  users: number;
  readonly mounted: Promise<TreeView>;
}

/** Trees that stay mounted while nobody reads them. */
const idleLimit = 8;

export function treeViews(store: Store, mounter: TreeMounter): TreeViews {
  const shared = new Map<StepKey, SharedView>();
  return {
    open: async (tree) => {
      const { key } = tree.record;
      const view = shared.get(key) ?? { users: 0, mounted: mountTree(tree, store, mounter) };
      // The one that was opened last comes last.
      shared.delete(key);
      shared.set(key, view);
      view.users += 1;
      try {
        const { root } = await view.mounted;
        return {
          root,
          [Symbol.asyncDispose]: () => {
            view.users -= 1;
            return closeIdle(shared, idleLimit);
          },
        };
      } catch (error) {
        shared.delete(key);
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => closeIdle(shared, 0),
  };
}

/** Unmounts the trees that nobody reads, but for the `limit` that were opened last. */
async function closeIdle(shared: Map<StepKey, SharedView>, limit: number): Promise<void> {
  const idle = [...shared].filter(([, { users }]) => users === 0);
  const closing = idle.slice(0, Math.max(0, idle.length - limit));
  for (const [key] of closing) shared.delete(key);
  for (const [, { mounted }] of closing) await (await mounted)[Symbol.asyncDispose]();
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
