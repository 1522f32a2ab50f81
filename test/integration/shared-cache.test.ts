/** Caches that machines share: real servers, hostile ones, and what happens to a build then. */
import { readFile, rm } from 'node:fs/promises';
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
});
