import type { Json } from '../base/canonical.ts';
import { byBytes, isObject } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';
import { fnmatch } from '../formats/fnmatch.ts';
import { compressionSuffixes, firmwareNames, moduleName, parseModulesDep } from '../formats/kmod.ts';
import { readModuleInfo } from '../formats/module-info.ts';
import { fileType } from '../formats/newc.ts';
import { memberData } from '../formats/newc-reader.ts';
import type { InitrdNode, InitrdNodes, UnpackedSegment } from './contents.ts';

export interface ModuleReport {
  /** In the initrd. */
  readonly path: string;
  readonly bytes: number;
  /** Why it is there, as mkimg remembers it; otherwise the modules that need it. */
  readonly reasons: readonly string[];
}

export interface FirmwareReport {
  /** In the initrd. */
  readonly path: string;
  readonly bytes: number;
  /** Names of modules of the initrd that ask for it. */
  readonly requestedBy: readonly string[];
}

export interface ModulesRequest {
  readonly nodes: InitrdNodes;
  readonly archives: readonly UnpackedSegment[];
  /** What is remembered of the parts. */
  readonly contents: readonly Json[];
}

export interface ModulesInspection {
  readonly modules: readonly ModuleReport[];
  readonly firmware: readonly FirmwareReport[];
}

const modulePath = /^(?:usr\/)?lib\/modules\/[^/]+\/(.+\.ko(?:\.[a-z0-9]+)?)$/;
const firmwarePath = /^(?:usr\/)?lib\/firmware\/(.+)$/;

/** Modules and firmware of an initrd, sorted by path, with what is known of why they are there. */
export async function inspectModules({
  nodes,
  archives,
  contents,
}: ModulesRequest): Promise<ModulesInspection> {
  const modules = found(nodes, modulePath);
  const remembered = reasonsOf(contents, 'modules');
  const needed = neededBy(nodes, archives);
  const wishes: Wish[] = [];
  for (const { path, node } of modules) wishes.push(...(await wishesOf(path, dataOf(node, archives))));
  const asked = reasonsOf(contents, 'firmware');
  return {
    modules: modules.map(({ path, name, node }) => ({
      path,
      bytes: node.member.size,
      reasons: remembered.get(name) ?? needed.get(moduleName(name)) ?? [],
    })),
    firmware: found(nodes, firmwarePath).map(({ path, name, node }) => ({
      path,
      bytes: node.member.size,
      requestedBy: asked.get(path) ?? askersOf(name, wishes),
    })),
  };
}

interface Found {
  readonly path: string;
  /** Below the directory of modules or firmware. */
  readonly name: string;
  readonly node: InitrdNode;
}

function found(nodes: InitrdNodes, pattern: RegExp): readonly Found[] {
  return [...nodes]
    .flatMap(([path, node]) => {
      const name = node.type === fileType.regular ? pattern.exec(path)?.[1] : undefined;
      return name === undefined ? [] : [{ path, name, node }];
    })
    .sort((left, right) => byBytes(left.path, right.path));
}

function dataOf(node: InitrdNode, archives: readonly UnpackedSegment[]): Buffer {
  const archive = archives[node.segment]?.archive;
  return archive === undefined ? Buffer.alloc(0) : memberData(archive, node.member);
}

function reasonsOf(
  contents: readonly Json[],
  kind: 'modules' | 'firmware',
): ReadonlyMap<string, readonly string[]> {
  const reasons = new Map<string, readonly string[]>();
  for (const content of contents) {
    const recorded = isObject(content) ? content[kind] : undefined;
    if (!isObject(recorded)) continue;
    for (const [path, value] of Object.entries(recorded))
      reasons.set(path, Array.isArray(value) ? value.map(String) : []);
  }
  return reasons;
}

/** By name of a module: those of the initrd that need it, by its modules.dep. */
function neededBy(
  nodes: InitrdNodes,
  archives: readonly UnpackedSegment[],
): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>();
  for (const [path, node] of nodes) {
    if (!/^(?:usr\/)?lib\/modules\/[^/]+\/modules\.dep$/.test(path)) continue;
    const directory = path.slice(0, path.lastIndexOf('/'));
    for (const module of parseModulesDep(dataOf(node, archives).toString('utf8')).values()) {
      // The indexes may be those of all modules of the kernel.
      if (!nodes.has(`${directory}/${module.path}`)) continue;
      for (const name of module.dependencies)
        users.set(name, [...(users.get(name) ?? []), `needed by ${module.name}`]);
    }
  }
  return users;
}

interface Wish {
  readonly module: string;
  /** Below the directory of firmware; may be a pattern. */
  readonly name: string;
}

async function wishesOf(path: string, content: Buffer): Promise<readonly Wish[]> {
  try {
    const fields = (await readModuleInfo(path, content)) ?? [];
    return firmwareNames(fields).map((name) => ({ module: moduleName(path), name }));
  } catch (error) {
    // A damaged module asks for nothing.
    if (error instanceof MkimgError) return [];
    throw error;
  }
}

function askersOf(name: string, wishes: readonly Wish[]): readonly string[] {
  const plain = compressionSuffixes.reduce(
    (text, suffix) => (text.endsWith(suffix) ? text.slice(0, -suffix.length) : text),
    name,
  );
  const askers = wishes.filter((wish) => fnmatch(wish.name, plain) || fnmatch(wish.name, name));
  return [...new Set(askers.map(({ module }) => module))].sort(byBytes);
}
