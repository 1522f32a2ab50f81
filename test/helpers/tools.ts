import { resolve } from 'node:path';
import { hostPath } from '../../src/base/brand.ts';
import type { ToolsRoot } from '../../src/sandbox/types.ts';
import { mkimg } from './cli.ts';

const anyProject = resolve(import.meta.dirname, '../../images/minimal');
const made = new Map<string, Promise<ToolsRoot>>();

/**
 * mkimg's own tools tree for building, made by mkimg when the cache has none (a minute or two).
 * @throws Error with what mkimg wrote when it cannot be made.
 */
export function buildTools(): Promise<ToolsRoot> {
  return toolsTree('build');
}

/** The same for running images. */
export function vmTools(): Promise<ToolsRoot> {
  return toolsTree('vm');
}

function toolsTree(profile: string): Promise<ToolsRoot> {
  const tree = made.get(profile) ?? makeTools(profile);
  made.set(profile, tree);
  return tree;
}

async function makeTools(profile: string): Promise<ToolsRoot> {
  const { code, stdout, stderr } = await mkimg(['-C', anyProject, 'tools', profile]);
  if (code !== 0) throw new Error(`mkimg tools ${profile} failed:\n${stderr}`);
  return { kind: 'tree', path: hostPath(stdout.trim()) };
}
