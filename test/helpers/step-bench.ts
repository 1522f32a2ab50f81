import { execFile } from 'node:child_process';
import { cp, mkdir, realpath, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { RunEvent } from '../../src/base/events.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import type { ToolsRoot } from '../../src/sandbox/types.ts';
import type { BuildContext } from '../../src/steps/implementation.ts';
import { writeFiles } from './project.ts';

const execute = promisify(execFile);

/** A place to run single steps in: an empty tree, and all that a step gets from the engine. */
export interface StepBench extends AsyncDisposable {
  readonly directory: HostPath;
  readonly root: HostPath;
  readonly context: BuildContext;
  readonly events: RunEvent[];
}

/** Runs steps as root, with these tools. */
export async function stepBench(tools: ToolsRoot): Promise<StepBench> {
  const directory = await temporaryDirectory('/var/tmp', 'mkimg-step-');
  const place = async (name: string): Promise<HostPath> => {
    const path = hostPath(join(directory.path, name));
    await mkdir(path, { mode: 0o755 });
    return path;
  };
  const events: RunEvent[] = [];
  const sink = { emit: (event: RunEvent) => void events.push(event) };
  const context: BuildContext = {
    events: sink,
    sandbox: createSandbox({ mode: 'root', tools, events: sink, debug: true }),
    work: await place('work'),
    products: hostPath(join(directory.path, 'products')),
    packagePool: await place('packages'),
    metadataCache: await place('metadata'),
    signal: new AbortController().signal,
    origin: undefined,
    metadataPolicy: { refresh: 'never', maxAge: 0 },
    jobs: 2,
    parts: { obtain: (parts, make) => make(parts, () => undefined) },
    lock: () => Promise.reject(new Error('no step under test takes locks')),
    madeFrom: () => undefined,
    stateOf: () => Promise.resolve(undefined),
    progress: () => undefined,
  };
  return {
    directory: directory.path,
    root: await place('root'),
    context,
    events,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** Makes a tree with merged /usr that can run these programs of the host, with the libraries they need. */
export async function runnableTree(root: HostPath, programs: readonly string[]): Promise<void> {
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(root, name));
  }
  const paths = programs.map((program) => `/usr/bin/${program}`);
  const libraries = await Promise.all(paths.map(librariesOf));
  for (const path of new Set([...paths, ...libraries.flat()])) {
    const target = join(root, await resolvedDirectory(path), path.split('/').at(-1) ?? '');
    await mkdir(dirname(target), { recursive: true });
    await cp(path, target, { dereference: true });
  }
  await writeFiles(root, {
    'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
    'etc/group': 'root:x:0:\n',
    'usr/lib/os-release': 'ID=test\n',
  });
}

async function resolvedDirectory(path: string): Promise<string> {
  return realpath(dirname(path));
}

async function librariesOf(program: string): Promise<readonly string[]> {
  const { stdout } = await execute('ldd', [program]);
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] ?? '');
}
