import { mkdir, stat } from 'node:fs/promises';
import pLimit from 'p-limit';
import type { HostPath } from '../base/brand.ts';
import { digestJson } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { parentOf, readTextIfExists, writeCacheFile } from '../base/files.ts';
import { findOnPath, findProgram } from './lookup.ts';
import { runProgram } from './process.ts';
import { resolveInTree } from './resolve.ts';
import { createSandbox } from './sandbox.ts';
import { toolRow } from './tool-table.ts';
import type { ToolNeed, ToolsRoot } from './types.ts';

/** Where programs are besides PATH, inside the tools. */
const treeDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin'] as const;
const hiddenDirectories = ['/usr/lib/systemd', '/usr/libexec', '/usr/lib/qemu'] as const;

/** Version of a program that cannot tell it. */
const unknownVersion = 'unknown';

export interface FoundTool {
  readonly tool: string;
  /** As the program tells it; `unknown` for one that cannot. */
  readonly version: string;
  /** Absolute path inside the tools. */
  readonly path: string;
}

export interface MissingTool {
  readonly need: ToolNeed;
  readonly reason: 'absent' | 'too-old';
  /** The version that is there. */
  readonly have?: string;
}

export interface ProbeResult {
  /** In the order of the needs, each tool once. */
  readonly found: readonly FoundTool[];
  readonly missing: readonly MissingTool[];
}

/**
 * Looks for the programs that steps need and asks each for its version. Versions are remembered in `cacheFile` by the
 * file's path, inode, size and time, so that a second call starts no process.
 */
export async function probeTools(
  needs: readonly ToolNeed[],
  tools: ToolsRoot,
  cacheFile: HostPath,
): Promise<ProbeResult> {
  const cache = await VersionCache.open(cacheFile);
  const limit = pLimit(4);
  const names = [...new Set(needs.map((need) => need.tool))];
  const probed = await Promise.all(names.map((tool) => limit(() => probe(tool, tools, cache))));
  await cache.save();
  const found = probed.filter((entry) => entry !== undefined);
  const missing = needs
    .map((need) =>
      judge(
        need,
        found.find((entry) => entry.tool === need.tool),
      ),
    )
    .filter((entry) => entry !== undefined);
  return { found, missing };
}

function judge(need: ToolNeed, found: FoundTool | undefined): MissingTool | undefined {
  if (found === undefined) return { need, reason: 'absent' };
  if (need.minimum === undefined || isAtLeast(found.version, need.minimum)) return undefined;
  return { need, reason: 'too-old', have: found.version };
}

/** Compares number by number: 2.38.1 is at least 2.38, 10 is at least 9.9. A version that is not known is not. */
export function isAtLeast(version: string, minimum: string): boolean {
  const have = numbers(version);
  if (have.length === 0) return false;
  for (const [index, wanted] of numbers(minimum).entries()) {
    const number = have[index] ?? 0;
    if (number !== wanted) return number > wanted;
  }
  return true;
}

function numbers(version: string): readonly number[] {
  return (version.match(/\d+/g) ?? []).map(Number);
}

async function probe(tool: string, tools: ToolsRoot, cache: VersionCache): Promise<FoundTool | undefined> {
  const row = toolRow(tool);
  const place = await findTool(tool, tools);
  if (place === undefined) return undefined;
  if (row.versionArgv === undefined) return { tool, version: unknownVersion, path: place.inside };
  const stats = await stat(place.file);
  const key = digestJson([tool, place.file, stats.ino, stats.size, Math.round(stats.mtimeMs)]);
  let version = cache.get(key);
  if (version === undefined) {
    const text = await versionText(place.inside, row.versionArgv, tools);
    version = parseVersion(text, row.versionPattern);
    cache.set(key, version);
  }
  return { tool, version, path: place.inside };
}

/** The version in what a program printed; `unknown` when it is not there. */
export function parseVersion(text: string, pattern: RegExp): string {
  const groups = pattern.exec(text)?.slice(1) ?? [];
  return groups.find((group: string | undefined) => group !== undefined) ?? unknownVersion;
}

interface Place {
  /** Absolute path inside the tools. */
  readonly inside: string;
  /** The file itself, links resolved. */
  readonly file: HostPath;
}

async function findTool(tool: string, tools: ToolsRoot): Promise<Place | undefined> {
  if (tools.kind === 'host') {
    const file = (await findOnPath(tool)) ?? (await findProgram(tool, hiddenDirectories));
    return file === undefined ? undefined : { inside: file, file };
  }
  for (const directory of [...treeDirectories, ...hiddenDirectories]) {
    const inside = `${directory}/${tool}`;
    const { path, exists } = await resolveInTree(tools.path, inside, 'follow');
    if (exists && (await isExecutable(path))) return { inside, file: path };
  }
  return undefined;
}

async function isExecutable(path: HostPath): Promise<boolean> {
  const stats = await stat(path);
  return stats.isFile() && (stats.mode & 0o111) !== 0;
}

/** What a program prints about itself on either stream. Programs of a tree run in the sandbox, without network. */
async function versionText(path: string, argv: readonly string[], tools: ToolsRoot): Promise<string> {
  const script = ['-c', '"$0" "$@" 2>&1; true', path, ...argv];
  if (tools.kind === 'tree') {
    const sandbox = createSandbox({ mode: 'root', tools, events: silentEvents });
    const purpose = 'asking for the versions of tools';
    try {
      return (await sandbox.run({ tool: 'sh', argv: script, stdout: 'capture', purpose })).stdout;
    } catch (error) {
      // A tree without a shell; a version that is not known is too old for whoever needs one.
      if (error instanceof MkimgError && error.code === 'tool-failed') return '';
      throw error;
    }
  }
  const result = await runProgram({
    argv: ['sh', ...script],
    env: { LANG: 'C.UTF-8', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdout: 'capture',
    events: silentEvents,
  });
  return result.stdout;
}

/**
 * The error for tools that are not there: all of them, each with what it is needed for, and how to get them.
 * Code `tool-missing`, or `tool-too-old` when all are there but some are too old.
 */
export function missingToolsError(missing: readonly MissingTool[], tools: ToolsRoot): MkimgError {
  const isAbsent = missing.some((entry) => entry.reason === 'absent');
  const list = unique(missing.map(describeMissing)).map((line) => `\n${line}`);
  const where = tools.kind === 'host' ? 'on this machine' : `in the tools tree ${tools.path}`;
  const packages = unique(missing.map(({ need }) => toolRow(need.tool).debianPackage)).sort();
  const install = `apt install ${packages.join(' ')}`;
  const hint =
    tools.kind === 'host'
      ? `On Debian 13 or later: ${install}. Anywhere: ToolsTree=default lets mkimg make a tree of tools.`
      : `The tools tree needs these Debian packages: ${packages.join(' ')}.`;
  return new MkimgError(
    isAbsent ? 'tool-missing' : 'tool-too-old',
    `Tools are missing ${where}:${list.join('')}`,
    { hint },
  );
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}

function describeMissing({ need, reason, have }: MissingTool): string {
  const version = need.minimum === undefined ? '' : ` ${need.minimum} or later`;
  const state = reason === 'too-old' ? `; here is ${have ?? unknownVersion}` : '';
  return `${need.tool}${version} (${need.reason}${state})`;
}

/** Versions that were asked for before. A cache: a file that cannot be read as one counts as empty. */
class VersionCache {
  readonly #file: HostPath;
  readonly #versions: Map<string, string>;
  #isChanged = false;

  private constructor(file: HostPath, versions: Map<string, string>) {
    this.#file = file;
    this.#versions = versions;
  }

  static async open(file: HostPath): Promise<VersionCache> {
    return new VersionCache(file, new Map(parseCache((await readTextIfExists(file)) ?? '')));
  }

  get(key: string): string | undefined {
    return this.#versions.get(key);
  }

  set(key: string, version: string): void {
    this.#versions.set(key, version);
    this.#isChanged = true;
  }

  async save(): Promise<void> {
    if (!this.#isChanged) return;
    await mkdir(parentOf(this.#file), { recursive: true });
    await writeCacheFile(this.#file, JSON.stringify(Object.fromEntries(this.#versions)));
  }
}

function parseCache(text: string): readonly (readonly [string, string])[] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, version]) =>
      typeof version === 'string' ? [[key, version] as const] : [],
    );
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
