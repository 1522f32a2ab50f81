/** What mkimg says about plans and builds: why steps run, what changed, and that nothing runs when nothing did. */
import { chmod, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import type { RunEvent } from '../../src/base/events.ts';
import type { CliResult } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench } from '../helpers/image-bench.ts';

const settings = (more = ''): string =>
  `[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\nCompressLevel=1\n[Content]\nPackages=more\nExtraTrees=extra\n${more}`;

let bench: ImageBench;
let project: HostPath;

beforeAll(async () => {
  bench = await imageBench();
  project = await bench.project(settings(), { 'extra/etc/motd': 'hello\n', 'extra/etc/issue': 'issue\n' });
  const { code, stderr } = await bench.run(project, ['build']);
  expect(code, stderr).toBe(0);
});
afterAll(() => bench[Symbol.asyncDispose]());

async function ok(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  const result = await bench.run(project, argv, { env });
  expect(result.code, result.stderr).toBe(0);
  return result;
}

const why = async (name: string): Promise<string> =>
  (await ok(['plan', '--why', name])).stdout.replaceAll(`${project}/`, '');

function stepsRun({ events }: CliResult): readonly string[] {
  return events.flatMap((event) => (event.type === 'step-started' ? [event.step] : []));
}

type Explained = Extract<RunEvent, { type: 'step-explained' }>;

function explanations({ events }: CliResult): Readonly<Record<string, string>> {
  const found = events.filter((event): event is Explained => event.type === 'step-explained');
  return Object.fromEntries(
    found.map(({ step, state, reasons }) => [step, `${state}: ${reasons.join('; ')}`]),
  );
}

describe('a build that is up to date', () => {
  it('says so, and starts no process at all', async () => {
    const log = join(bench.directory, 'started');
    const hook = join(bench.directory, 'hook.cjs');
    await writeFile(log, '');
    // All that Node starts goes through one of these two.
    await writeFile(
      hook,
      `const { appendFileSync } = require('node:fs');
for (const [name, method] of [['process_wrap', 'spawn'], ['spawn_sync', 'spawn']]) {
  const binding = process.binding(name);
  const target = name === 'process_wrap' ? binding.Process.prototype : binding;
  const original = target[method];
  target[method] = function (options) {
    appendFileSync(${JSON.stringify(log)}, options.file + '\\n');
    return original.apply(this, arguments);
  };
}\n`,
    );
    const env = { NODE_OPTIONS: `--require ${hook} --no-deprecation` };
    const quiet = await ok(['build'], env);
    expect(quiet.stderr).toContain('Up to date');
    expect(stepsRun(quiet)).toEqual([]);
    expect(await readFile(log, 'utf8')).toBe('');
    // The hook does see what is started.
    await ok(['build', '-f'], env);
    expect(await readFile(log, 'utf8')).toContain('unshare');
  });

  it('needs no program on the PATH', async () => {
    const result = await ok(['build'], { PATH: '/nonexistent' });
    expect(result.stderr).toContain('Up to date');
  });

  it('is not disturbed by times of files, and makes only the outputs again with -f', async () => {
    await utimes(join(project, 'extra/etc/motd'), 1, 1);
    expect((await ok(['build'])).stderr).toContain('Up to date');
    const forced = await ok(['build', '-f', '--profile=gone']);
    expect(stepsRun(forced)).toEqual(['main/pack-tar']);
    // Two processes read the configuration, and one of them warns.
    expect(forced.stderr.match(/profile 'gone' changes nothing/g)).toHaveLength(1);
  });
});

describe('plan --why', () => {
  it('says that nothing changed', async () => {
    expect(await why('image.tar.zst')).toMatch(/^main\/pack-tar: nothing changed since /);
  });

  it('names files, settings with their lines, and packages with their versions', async () => {
    await writeFile(join(project, 'extra/etc/motd'), 'changed\n');
    await writeFile(join(project, 'extra/etc/new'), 'new\n');
    await rm(join(project, 'extra/etc/issue'));
    await writeFile(join(project, 'mkimg.conf'), settings('Hostname=box\n').replace('Level=1', 'Level=2'));
    const said = await why('image.tar.zst');
    expect(said).toContain('not as it was since ');
    expect(said).toContain(
      'main/copy-trees:extra: ExtraTrees= (mkimg.conf:8:12): extra/etc/motd changed, extra/etc/new is new, extra/etc/issue is gone\n',
    );
    expect(said).toContain('main/identity: Hostname= (mkimg.conf:9:10): box is new\n');
    expect(said).toContain('  CompressLevel= (mkimg.conf:5:15): 1 -> 2');
    await ok(['build']);

    await bench.distribution.add({ name: 'more', version: '2', files: { 'usr/share/more/file': '2\n' } });
    await bench.distribution.add({ name: 'other' });
    await writeFile(join(project, 'mkimg.conf'), settings('Hostname=box\nPackages=other\n'));
    const explained = explanations(await ok(['build', '--refresh', '--explain']));
    expect(explained['main/install-packages']).toContain('packages: more 1 -> 2, other 1 is new');
    expect(explained['main/install-packages']).toMatch(/Packages= \(.*mkimg\.conf:10:10\): other is new/);
    expect(explained['main/resolve-packages']).toMatch(/^run: /);
  });

  it('answers as JSON, and knows the outputs by name', async () => {
    await chmod(join(project, 'extra/etc/motd'), 0o600);
    const { stdout } = await ok(['plan', '--json', '--why', 'image']);
    expect(JSON.parse(stdout)).toMatchObject({
      step: 'main/pack-tar',
      state: 'miss',
      reasons: [{ step: 'main/copy-trees:extra', setting: 'ExtraTrees', files: { changed: ['etc/motd'] } }],
    });
    const unknown = await bench.run(project, ['plan', '--why', 'image.rwa']);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain("the plan has no step or output 'image.rwa'");
  });

  it('says that a result is lost', async () => {
    await ok(['build']);
    await ok(['cache', 'prune', '--all']);
    expect(await why('main/install-packages')).toContain('its result is not in the cache');
  });
});

describe('build --explain', () => {
  it('says of each step that runs why, and of those that need not that nothing changed', async () => {
    await ok(['build', '-ff']);
    await writeFile(join(project, 'extra/etc/motd'), 'again\n');
    const result = await ok(['build', '--explain']);
    const explained = explanations(result);
    expect(explained['main/install-packages'] ?? 'hit: nothing changed').toBe('hit: nothing changed');
    expect(explained['main/copy-trees:extra']).toMatch(/^run: ExtraTrees= .*extra\/etc\/motd changed$/);
    expect(explained['main/pack-tar']).toMatch(/^run: main\/copy-trees:extra: ExtraTrees= /);
    expect(result.stderr).toContain('image.tar.zst: it was made of something else');
    expect((await ok(['build', '--explain'])).stderr).toContain('image.tar.zst: nothing changed');
  });
});

describe('Incremental=strict', () => {
  it('builds what needs no installation, and refuses the rest without asking anybody', async () => {
    await ok(['build']);
    await writeFile(join(project, 'extra/etc/motd'), 'strictly\n');
    const requests = bench.server.requests.length;
    await ok(['--incremental=strict', 'build']);
    expect(bench.server.requests.length).toBe(requests);
    const refused = await bench.run(project, ['--incremental=strict', '--package=tiny-base', 'build']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('packages would be installed anew');
  });
});

describe('--refresh and CacheOnly=', () => {
  it('decide whether the repositories are asked', async () => {
    const asked = async (argv: readonly string[]): Promise<boolean> => {
      const before = bench.server.requests.length;
      await ok(argv);
      return bench.server.requests.length > before;
    };
    expect(await asked(['build'])).toBe(false);
    expect(await asked(['build', '--refresh'])).toBe(true);
    expect(await asked(['--cache-only=always', 'build'])).toBe(false);
    // The same answer as before: nothing is made anew.
    expect(stepsRun(await ok(['build', '--refresh']))).toEqual(['main/resolve-packages']);
  });
});

describe('plan', () => {
  it('shows a tree, JSON and a graph', async () => {
    const text = (await ok(['plan'])).stdout;
    expect(text).toMatch(/^stored\s+main\/pack-tar\s+pack tar$/m);
    expect(text).toMatch(/steps would run$/m);
    const json = JSON.parse((await ok(['plan', '--json'])).stdout) as {
      steps: { id: string; state: string }[];
    };
    expect(json.steps.find(({ id }) => id === 'main/install-packages')?.state).toBe('hit');
    expect((await ok(['plan', '--dot'])).stdout).toContain('"main/install-packages" -> "main/apt-sources"');
  });
});
