import { resolve } from 'node:path';
import { hostPath } from '../../src/base/brand.ts';
import type { ArchitectureName } from '../../src/distro/architectures/index.ts';
import { nativeArchitecture } from '../../src/distro/architectures/index.ts';
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

/** The same for running images of an architecture. */
export function vmTools(architecture: ArchitectureName = nativeArchitecture()): Promise<ToolsRoot> {
  return toolsTree('vm', ['--architecture', architecture]);
}

function toolsTree(profile: string, flags: readonly string[] = []): Promise<ToolsRoot> {
  const name = [profile, ...flags].join(' ');
  const tree = made.get(name) ?? makeTools(profile, flags);
  made.set(name, tree);
  return tree;
}

async function makeTools(profile: string, flags: readonly string[]): Promise<ToolsRoot> {
  const { code, stdout, stderr } = await mkimg(['-C', anyProject, ...flags, 'tools', profile]);
  if (code !== 0) throw new Error(`mkimg tools ${profile} failed:\n${stderr}`);
  return { kind: 'tree', path: hostPath(stdout.trim()) };
}
