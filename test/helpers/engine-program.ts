/** What the engine tests run inside the namespaces: `engine-program.ts SCENARIO MODE CACHE SLEEP`; prints one JSON value. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Json } from '../../src/base/canonical.ts';
import { hostPath, stepId } from '../../src/base/brand.ts';
import { MkimgError } from '../../src/base/errors.ts';
import type { RunEvent } from '../../src/base/events.ts';
import { openHostDigests } from '../../src/engine/digest.ts';
import type { AnyFileStep, AnyTreeStep, Catalogue, EngineEnvironment } from '../../src/engine/environment.ts';
import { execute } from '../../src/engine/executor.ts';
import { cacheLayout } from '../../src/engine/layout.ts';
import { overlayMounter } from '../../src/engine/mounter.ts';
import { prune } from '../../src/engine/prune.ts';
import { openSharedCache } from '../../src/engine/shared/shared-cache.ts';
import { openStore } from '../../src/engine/store.ts';
import type { OpenedTree, Plan, Step, StepKind } from '../../src/plan/step.ts';
import { currentMode, enterNamespace } from '../../src/sandbox/namespace.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import type { PrivilegeMode } from '../../src/sandbox/types.ts';

const [scenario = '', wanted = '', cache = '', duration = ''] = process.argv.slice(2);
const events: RunEvent[] = [];
const sink = { emit: (event: RunEvent) => void events.push(event) };

function tree(run: (root: string) => void): AnyTreeStep {
  return {
    output: 'tree',
    version: 1,
    tools: [],
    run: (_inputs, root) => {
      run(root);
      return Promise.resolve();
    },
  };
}

/** What find(1) in the sandbox says of the tree: names, owners and modes. */
const list: AnyFileStep = {
  output: 'file',
  version: 1,
  tools: [],
  run: async (inputs, target, { sandbox, work }) => {
    const { root } = (inputs as { tree: OpenedTree }).tree;
    const written = hostPath(join(work, 'list'));
    await sandbox.run({
      tool: 'find',
      argv: ['/tree', '-mindepth', '1', '-printf', '%P %y %U:%G %m\\n'],
      mounts: [{ source: root, target: '/tree', mode: 'ro' }],
      stdout: { file: written },
      purpose: 'listing',
    });
    const lines = readFileSync(written, 'utf8').trim().split('\n').sort();
    writeFileSync(target, lines.join('\n'));
    return lines;
  },
};

const sleeping: AnyTreeStep = {
  output: 'tree',
  version: 1,
  tools: [],
  run: async (_inputs, root, { sandbox }) => {
    writeFileSync(join(root, 'half'), '');
    writeFileSync(join(cache, 'ready'), '');
    await sandbox.run({ tool: 'sleep', argv: [duration], purpose: 'sleeping' });
  },
};

const catalogue = {
  'copy-trees': tree((root) => {
    mkdirSync(join(root, 'etc'));
    mkdirSync(join(root, 'var/empty'), { recursive: true });
    for (const name of ['etc/kept', 'etc/gone', 'var/file']) writeFileSync(join(root, name), name);
    if (currentMode() !== 'single-id') chownSync(join(root, 'etc/kept'), 33, 42);
    chmodSync(root, 0o711);
  }),
  'remove-files': tree((root) => {
    rmSync(join(root, 'etc/gone'));
    rmSync(join(root, 'var'), { recursive: true });
  }),
  depmod: tree((root) => {
    mkdirSync(join(root, 'var'));
    writeFileSync(join(root, 'var/new'), '');
    chmodSync(join(root, 'var/new'), 0o4755);
  }),
  'run-scripts': sleeping,
  'pack-tar': list,
} as unknown as Catalogue;

function step(id: string, kind: StepKind, inputs: object): Step {
  return { id: stepId(id), kind, inputs, label: id, keep: true, tools: { kind: 'host' } } as unknown as Step;
}

const ref = (id: string): object => ({ $ref: stepId(id), type: 'tree' });

const treeSteps = [
  step('base', 'copy-trees', {}),
  { ...step('removed', 'remove-files', { base: ref('base') }), keep: false },
  step('top', 'depmod', { base: ref('removed') }),
];

function planOf(...more: readonly Step[]): Plan {
  return { steps: [...treeSteps, ...more], images: [] };
}

async function environment(
  mode: PrivilegeMode,
  signal: AbortSignal,
  directory = cache,
): Promise<EngineEnvironment> {
  const store = await openStore(cacheLayout(hostPath(directory)));
  return {
    store,
    catalogue,
    digests: await openHostDigests(hostPath(join(store.layout.state, 'digests.json'))),
    ownership: mode === 'single-id' ? 'flat' : 'full',
    identifyTools: () => Promise.resolve({}),
    metadataPolicy: { refresh: 'aged', maxAge: 1000 },
    sandboxFor: ({ step: id, tools, signal: stop }) =>
      createSandbox({ mode, tools, step: id, signal: stop, events: sink }),
    mounter: overlayMounter,
    events: sink,
    signal,
    jobs: 2,
    secrets: new Map(),
  };
}

async function layers(mode: PrivilegeMode): Promise<Json> {
  const env = await environment(mode, new AbortController().signal);
  const plan = planOf(
    step('list', 'pack-tar', { tree: ref('top') }),
    step('again', 'pack-tar', { tree: ref('top'), other: 1 }),
  );
  const { results } = await execute(plan, env, [stepId('list'), stepId('again')]);
  const top = results.get(stepId('top'))?.entry;
  return {
    listing: results.get(stepId('list'))?.entry.record.meta ?? null,
    same: JSON.stringify(results.get(stepId('again'))?.entry.record.meta ?? null),
    layers: top?.record.layers.length ?? 0,
    sound: (top === undefined ? 'missing' : await env.store.check(top, 'full')) ?? null,
    finished: events.flatMap((event) => (event.type === 'step-finished' ? [event.label] : [])),
    mounted: readFileSync('/proc/self/mountinfo', 'utf8').includes(cache),
  };
}

async function hang(mode: PrivilegeMode): Promise<Json> {
  const stop = new AbortController();
  process.on('SIGINT', () => stop.abort());
  const env = await environment(mode, stop.signal);
  const plan = planOf(step('sleep', 'run-scripts', { base: ref('top') }));
  try {
    await execute(plan, env, [stepId('sleep')]);
    return 'finished';
  } catch (error) {
    const mounted = readFileSync('/proc/self/mountinfo', 'utf8').includes(cache);
    return { code: error instanceof MkimgError ? error.code : String(error), mounted };
  }
}

async function trim(mode: PrivilegeMode): Promise<Json> {
  const { store, signal } = await environment(mode, new AbortController().signal);
  const { removed } = await prune(store, { all: true }, signal);
  return { removed };
}

/** Builds in one cache, then in another that has nothing but what the first has shared. */
async function shared(mode: PrivilegeMode): Promise<Json> {
  const plan = planOf(step('list', 'pack-tar', { tree: ref('top') }));
  const answers: Json[] = [];
  for (const name of ['first', 'second']) {
    events.length = 0;
    const signal = new AbortController().signal;
    const own = await environment(mode, signal, join(cache, name));
    const sandbox = createSandbox({ mode, tools: { kind: 'host' }, signal, events: sink });
    await using others = openSharedCache({
      ...{ url: pathToFileURL(join(cache, 'shared')), writable: true, store: own.store, events: sink },
      ...{ signal, sandbox, environment: {} },
    });
    const { results } = await execute(plan, { ...own, shared: others }, [stepId('list'), stepId('top')]);
    await others.finish();
    if (name === 'second') {
      // Made anew on the layers that came.
      await own.store.remove(results.get(stepId('list'))?.key ?? cacheKey());
      await execute(plan, own, [stepId('list')]);
    }
    const list = await own.store.find(results.get(stepId('list'))?.key ?? cacheKey());
    answers.push({
      listing: list?.record.meta ?? null,
      finished: events.flatMap((event) => (event.type === 'step-finished' ? [event.label] : [])),
      notes: events.flatMap((event) => (event.type === 'note' ? [event.message] : [])),
    });
  }
  return answers;
}

function cacheKey(): never {
  throw new Error('the listing was not made');
}

const scenarios: Readonly<Record<string, (mode: PrivilegeMode) => Promise<Json>>> = {
  layers,
  hang,
  trim,
  shared,
};

const mode = currentMode();
if (mode === undefined) {
  const chosen = (['root', 'subids', 'single-id'] as const).find((name) => name === wanted) ?? 'single-id';
  const main = process.argv[1] ?? '';
  if (!existsSync(main)) throw new Error('no main');
  process.exitCode = await enterNamespace({ mode: chosen, main, args: process.argv.slice(2) });
} else {
  const run = scenarios[scenario];
  if (run === undefined) throw new Error(`no scenario ${scenario}`);
  process.stdout.write(JSON.stringify(await run(mode)));
}
