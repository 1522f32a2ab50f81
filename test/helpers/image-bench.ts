import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, readlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { CliOptions, CliResult, RunningMkimg } from './cli.ts';
import { mkimg, startMkimg } from './cli.ts';
import type { FileServer } from './file-server.ts';
import { serveFiles } from './file-server.ts';
import { writeFiles } from './project.ts';
import type { TinyDistribution } from './tiny-distribution.ts';
import { tinyDistribution, tinySources } from './tiny-distribution.ts';
import { buildTools } from './tools.ts';

/** Projects that build in a second or two: a tiny distribution, a cache and a temporary directory of their own. */
export interface ImageBench extends AsyncDisposable {
  readonly directory: HostPath;
  readonly distribution: TinyDistribution;
  readonly server: FileServer;
  readonly tools: HostPath;
  /** $XDG_CACHE_HOME of the runs. */
  readonly cache: HostPath;
  /** The environment of the runs. */
  readonly env: Readonly<Record<string, string>>;
  /** Writes a project of these settings and further files; its packages come from the tiny distribution. */
  project(settings: string, files?: Readonly<Record<string, string>>): Promise<HostPath>;
  run(project: HostPath, argv: readonly string[], options?: CliOptions): Promise<CliResult>;
  start(project: HostPath, argv: readonly string[], options?: CliOptions): Promise<RunningMkimg>;
  /** Processes, mounts, stages and temporary files that runs of this bench have left. */
  leftovers(): Promise<readonly string[]>;
}

export async function imageBench(): Promise<ImageBench> {
  const tools = await buildTools();
  if (tools.kind !== 'tree') throw new Error('no tools tree');
  const root = await temporaryDirectory('/var/tmp', 'test-bench-');
  await chmod(root.path, 0o755);
  const place = (name: string): HostPath => hostPath(join(root.path, name));
  const distribution = await tinyDistribution(place('distribution'));
  await distribution.add({ name: 'more', files: { 'usr/share/more/file': 'more\n' } });
  const server = await serveFiles(distribution.directory);
  await mkdir(place('tmp'));
  const env = { XDG_CACHE_HOME: place('cache'), TMPDIR: place('tmp') };
  let projects = 0;
  const words = (project: HostPath, argv: readonly string[]): string[] => [
    ...['-C', project, '--tools-tree', tools.path],
    ...argv,
  ];
  return {
    ...{ directory: root.path, distribution, server, tools: tools.path, env, cache: place('cache') },
    project: async (settings, files = {}) => {
      const project = place(`project${(projects += 1)}`);
      await writeFiles(project, { 'mkimg.conf': settings, ...tinySources(server.uri), ...files });
      return project;
    },
    run: (project, argv, options = {}) =>
      mkimg(words(project, argv), { ...options, env: { ...env, ...options.env } }),
    start: (project, argv, options = {}) =>
      startMkimg(words(project, argv), { ...options, env: { ...env, ...options.env } }),
    leftovers: () => leftovers(root.path),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await root[Symbol.asyncDispose]();
    },
  };
}

async function leftovers(directory: HostPath): Promise<readonly string[]> {
  const stages = await names(join(directory, 'cache/mkimg/store/.staging'));
  const running = await names(join(directory, 'cache/mkimg/state/running'));
  const locks = await names(join(directory, 'cache/mkimg/state/locks'));
  const temporary = await names(join(directory, 'tmp'));
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(directory));
  const hidden: string[] = [];
  for (const project of (await names(directory)).filter((name) => name.startsWith('project'))) {
    const found = await readdir(join(directory, project), { recursive: true });
    hidden.push(...found.filter((name) => name.includes('.mkimg-')));
  }
  return [
    ...stages.map((name) => `stage ${name}`),
    ...running.map((name) => `mark of a running build ${name}`),
    ...locks.map((name) => `lock ${name}`),
    ...temporary.map((name) => `temporary ${name}`),
    ...mounts.map((line) => `mount ${line}`),
    ...hidden.map((name) => `half-written ${name}`),
    ...(await processesOf(directory)),
  ];
}

/** Digests of the outputs in a directory, `image` and `image.*`, by their paths. */
export async function digestsOf(directory: string): Promise<Readonly<Record<string, string>>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((path) => /^image[./]/.test(path));
  const digests = paths.map(async (path) => {
    const content = await readFile(join(directory, path));
    return [path, createHash('sha256').update(content).digest('hex')] as const;
  });
  return Object.fromEntries(await Promise.all(digests));
}

async function names(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch {
    return [];
  }
}

/** Processes that have to do with a directory: by argument, environment, open directory or mount, sandboxed ones too. */
export async function processesOf(directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const texts = await Promise.all(['cmdline', 'environ', 'mountinfo'].map((file) => look(pid, file)));
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (![...texts, cwd].some((text) => text.includes(directory))) continue;
    found.push(`process ${pid} ${texts[0]?.replaceAll('\0', ' ') ?? ''}`);
  }
  return found;
}

async function look(pid: string, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    // It ended, or it belongs to another user.
    return '';
  }
}
