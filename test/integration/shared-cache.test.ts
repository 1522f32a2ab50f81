/** Caches that machines share: real servers, hostile ones, and what happens to a build then. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import type { CliOptions, CliResult } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench } from '../helpers/image-bench.ts';
import type { Nginx } from '../helpers/nginx.ts';
import { startNginx } from '../helpers/nginx.ts';

const settings = '[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\n[Content]\nPackages=more\n';

let bench: ImageBench;
let nginx: Nginx;
/** A project whose results are in nginx, and what its image holds. */
let project: HostPath;
let image: Buffer;

beforeAll(async () => {
  bench = await imageBench();
  nginx = await startNginx();
  project = await bench.project(settings);
  const first = await build('origin', nginx.url);
  expect(first.code, first.stderr).toBe(0);
  expect(first.stderr).not.toContain('warning');
  image = await readFile(join(project, 'image.tar.zst'));
});
afterAll(async () => {
  await nginx[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

/** Builds with a cache of its own of this name, without the output of the build before. */
async function build(
  name: string,
  url: string,
  options: CliOptions & { readonly flags?: readonly string[] } = {},
): Promise<CliResult> {
  await rm(join(project, 'image.tar.zst'), { force: true });
  const env = { XDG_CACHE_HOME: join(bench.directory, `cache-${name}`), ...options.env };
  return bench.run(project, [`--cache-url=${url}`, ...(options.flags ?? []), 'build'], { ...options, env });
}

function labels({ events }: CliResult, type: 'step-finished' | 'step-hit'): readonly string[] {
  return events.flatMap((event) => (event.type === type ? [event.label] : []));
}

async function isRight(): Promise<boolean> {
  return (await readFile(join(project, 'image.tar.zst'))).equals(image);
}

describe('a shared cache', () => {
  it('spares another machine all steps but the choice of packages', async () => {
    const second = await build('second', nginx.url);
    expect(second.code, second.stderr).toBe(0);
    expect(labels(second, 'step-finished')).toEqual(['main: resolve packages']);
    expect(await isRight()).toBe(true);
    expect(second.stderr).toContain('shared main: pack tar');
  });

  it('that is only read gets nothing; one that wants a name and password gets them from netrc', async () => {
    await using guarded = await startNginx({ credentials: 'me:swamp' });
    const netrc = join(bench.directory, 'netrc');
    await writeFile(netrc, 'machine 127.0.0.1 login me password swamp\n');
    const env = { NETRC: netrc };
    const reader = await build('reader', guarded.url, { env, flags: ['--cache-access=read'] });
    expect(reader.code, reader.stderr).toBe(0);
    expect(reader.stderr).not.toContain('warning');
    await expect(readdir(guarded.root)).rejects.toThrow('ENOENT');
    const stranger = await build('stranger', guarded.url);
    expect(stranger.code, stranger.stderr).toBe(0);
    expect(stranger.stderr).toContain('warning: Cannot use the shared cache http://127.0.0.1');
    expect(stranger.stderr).toContain('it answers with status 401');
    expect(await isRight()).toBe(true);
    const writer = await build('writer', guarded.url, { env });
    expect(writer.code, writer.stderr).toBe(0);
    expect((await readdir(guarded.root)).sort()).toEqual(['ac', 'cas']);
    expect(JSON.stringify(writer.events)).not.toContain('swamp');
  });

  it('that cannot be written to is still read', async () => {
    await using readOnly = await startNginx({ readOnly: true });
    const result = await build('no-put', readOnly.url);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr.match(/warning: Cannot store results in the shared cache/g)).toHaveLength(1);
    expect(await isRight()).toBe(true);
  });

  it('with archives that hold something else does no harm', async () => {
    const outside = join(bench.directory, 'outside');
    const archive = join(bench.directory, 'hostile.tar.zst');
    const script = `mkdir -p ${outside} hostile && cd hostile && ln -sfn ${outside} tree && ln -sfn ${outside}/x file && tar --zstd -cf ${archive} tree file`;
    expect(spawnSync('sh', ['-ec', script], { cwd: bench.directory }).status).toBe(0);
    const bytes = await readFile(archive);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const served = join(bench.directory, 'hostile-cache');
    await cp(nginx.root, served, { recursive: true });
    await copyFile(archive, join(served, 'cas', sha256));
    for (const name of await readdir(join(served, 'ac'))) {
      const path = join(served, 'ac', name);
      const record = JSON.parse(await readFile(path, 'utf8')) as object;
      await writeFile(path, JSON.stringify({ ...record, archive: { sha256, bytes: bytes.length } }));
    }
    const result = await build('hostile', `file://${served}`, { flags: ['--cache-access=read'] });
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toContain('an archive of it does not hold what its record says');
    expect(await isRight()).toBe(true);
    expect(await readdir(outside)).toEqual([]);
  });

  it('that never answers costs seconds, not the build', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const result = await build('silent', `http://127.0.0.1:${port}`);
    server.closeAllConnections();
    server.close();
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toContain('it does not answer');
    expect(await isRight()).toBe(true);
  });

  it('does not get what a secret went into', async () => {
    await using own = await startNginx();
    const secretive = await bench.project(`${settings}RootPassword=swordfish\n`);
    const env = { XDG_CACHE_HOME: join(bench.directory, 'cache-secret') };
    const result = await bench.run(secretive, [`--cache-url=${own.url}`, 'build'], { env });
    expect(result.code, result.stderr).toBe(0);
    const records = await readdir(join(own.root, 'ac'));
    const shared = await Promise.all(records.map((name) => readFile(join(own.root, 'ac', name), 'utf8')));
    const stored = shared.map((text) => (JSON.parse(text) as { readonly label: string }).label);
    expect(stored).toContain('main: install packages');
    expect(stored).not.toContain('main: pack tar');
    expect(shared.join()).not.toContain('$secret');
  });
});

describe('mkimg cache', () => {
  it('shows projects, and trims to CacheMaxSize= after a build', async () => {
    const env = { XDG_CACHE_HOME: join(bench.directory, 'cache-second') };
    const listed = await bench.run(project, ['cache'], { env });
    expect(listed.stdout).toContain(project);
    const result = await build('second', nginx.url, { flags: ['--cache-max-size=4K', '-f', '--hostname=x'] });
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toContain('Trimmed the cache by ');
    expect((await bench.run(project, ['cache', 'prune', '--all'], { env })).code).toBe(0);
    expect(await readdir(join(env.XDG_CACHE_HOME, 'mkimg/store'))).toEqual(['.staging']);
    expect(await readdir(join(env.XDG_CACHE_HOME, 'mkimg/packages'))).toEqual([]);
  });
});
