import { lchown, lstat } from 'node:fs/promises';
import { relative } from 'node:path';
import type { TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import type { Tree } from '../sandbox/tree.ts';

/**
 * Gives a file of the tree other content; owner and mode stay. The file is replaced and not written to, because it may
 * be a hard link to a copy in the store.
 * @throws Error when there is no such file.
 */
export async function replaceText(tree: Tree, path: TreePath, content: string): Promise<void> {
  const real = await tree.resolve(path);
  const { mode, uid, gid } = await lstat(real);
  await tree.writeText(treePath(relative(tree.root, real)), content, mode & 0o7777);
  const { uid: newUid, gid: newGid } = await lstat(real);
  if (newUid !== uid || newGid !== gid) await lchown(real, uid, gid);
}

/** Edits a text of the tree in place; undefined is returned, and nothing done, when there is no such file. */
export async function editText(
  tree: Tree,
  path: TreePath,
  edit: (text: string) => string,
): Promise<string | undefined> {
  const text = await tree.readText(path);
  if (text === undefined) return undefined;
  const edited = edit(text);
  if (edited !== text) await replaceText(tree, path, edited);
  return edited;
}

/** Edits a text of the tree in place, or makes it from an empty one; links are followed inside the tree. */
export async function makeText(tree: Tree, path: TreePath, edit: (text: string) => string): Promise<void> {
  if ((await editText(tree, path, edit)) !== undefined) return;
  await tree.writeText(treePath(relative(tree.root, await tree.resolve(path))), edit(''));
}
