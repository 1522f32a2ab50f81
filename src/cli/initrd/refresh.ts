import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { canonicalJson, digestJson, isObject } from '../../base/canonical.ts';
import { isErrno, MkimgError } from '../../base/errors.ts';
import { isDirectory, makeDirectory, namesIn, writeCacheFile } from '../../base/files.ts';
import { runAttached } from '../../sandbox/process.ts';
import { initrdManifest } from '../../initrd/manifest.ts';
import type { Segment } from '../../initrd/segment-cache.ts';
import type { VerbContext } from '../verb.ts';
import type { InitrdOrder, InitrdRequest } from './request.ts';
import { lockCache } from './cache-lock.ts';
import { initrdCache } from './request.ts';
import { obtainSegments } from './segments.ts';

/** An initrd that was made before, and how to make it again. */
interface Standing {
  readonly request: InitrdRequest;
  /** Digests of the segments that it was made of. */
  readonly segments: readonly string[];
  readonly way: { readonly order: InitrdOrder } | { readonly kernelInstall: readonly string[] };
}

/** What was made of which parts. */
export interface MadeInitrd extends Pick<Standing, 'request' | 'way'> {
  readonly segments: readonly Segment[];
}

/** Keeps what was made, for `mkimg initrd --refresh`, and a manifest of it. */
export async function rememberStanding(
  { way, request, segments }: MadeInitrd,
  context: Pick<VerbContext, 'events' | 'signal'>,
): Promise<void> {
  const { cache, kernelVersion } = request;
  const output = 'order' in way ? way.order.output : undefined;
  const name = `${digestJson(output ?? ['kernel-install', kernelVersion])}.json`;
  const file = join(standingDirectory(cache), name);
  const standing: Standing = { request, segments: segments.map(({ sha256 }) => sha256), way };
  const text = `${JSON.stringify(standing)}\n`;
  if (readText(file) === text) return;
  // Whoever holds the lock clears away files that are half written.
  await using _lock = await lockCache(cache, context);
  for (const directory of [standingDirectory(cache), manifestDirectory(cache)])
    await makeDirectory(directory, 0o700);
  const manifest = await initrdManifest({ kernelVersion, output, segments });
  await writeCacheFile(join(manifestDirectory(cache), name), `${canonicalJson(manifest)}\n`, 0o600);
  await writeCacheFile(file, text, 0o600);
}

function standingDirectory(cache: HostPath): string {
  return join(cache, 'standing');
}

function manifestDirectory(cache: HostPath): string {
  return join(cache, 'manifests');
}

/**
 * Makes the initrds again that were made before, where a part of them is another now. What nothing changed of is not
 * touched, and what is gone, or has lost its kernel, is forgotten.
 * @param again makes an initrd that is no matter of kernel-install
 * @returns undefined where that takes a namespace, which this process is not in
 */
export async function refreshInitrds(
  context: VerbContext,
  again: (order: InitrdOrder) => Promise<number | undefined>,
): Promise<number | undefined> {
  const cache = initrdCache(
    context.assignments.findLast(({ setting }) => setting === 'CacheDirectory')?.text,
  );
  const directory = standingDirectory(cache);
  const failures: MkimgError[] = [];
  for (const name of (await namesIn(directory)).sort()) {
    const file = join(directory, name);
    const standing = parseStanding(readText(file));
    if (standing === undefined || !(await isWanted(standing))) {
      for (const path of [file, join(manifestDirectory(cache), name)]) await rm(path, { force: true });
      continue;
    }
    try {
      const done = await refreshOne(standing, context, again);
      if (done !== 0) return done;
    } catch (error) {
      if (!(error instanceof MkimgError) || error.class === 'interrupted') throw error;
      failures.push(error);
    }
  }
  // One that cannot be made is no reason to leave others as they were.
  const [first] = failures;
  if (first !== undefined) throw first;
  return 0;
}

async function refreshOne(
  { request, segments, way }: Standing,
  context: VerbContext,
  again: (order: InitrdOrder) => Promise<number | undefined>,
): Promise<number | undefined> {
  const obtained = await obtainSegments(request, context);
  if (obtained === undefined) return undefined;
  const now = obtained.segments.map(({ sha256 }) => sha256);
  if (JSON.stringify(now) === JSON.stringify(segments)) return 0;
  if ('order' in way) return again(way.order);
  const [program = 'kernel-install', ...args] = way.kernelInstall;
  const exitCode = await runAttached({ argv: [program, ...args], env: process.env });
  if (exitCode === 0) return 0;
  throw new MkimgError('kernel-install-failed', `kernel-install ended with exit code ${exitCode}`, {
    hint: `Its messages are above. Run it alone: kernel-install -v ${args.join(' ')}`,
  });
}

/** Packages of kernels that are removed may leave indexes of modules: what was made for them has to be there, too. */
async function isWanted({ request, way }: Standing): Promise<boolean> {
  const { root, kernelVersion } = request;
  const image = 'order' in way ? way.order.output : way.kernelInstall.at(-1);
  return (
    (await isDirectory(join(root, 'usr/lib/modules', kernelVersion))) &&
    image !== undefined &&
    existsSync(image)
  );
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function parseStanding(text: string | undefined): Standing | undefined {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return isStanding(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A file that the disk damaged may say anything. */
function isStanding(value: unknown): value is Standing {
  if (!isObject(value) || !isObject(value['request']) || !isObject(value['way'])) return false;
  const { root, kernelVersion, cache, assignments } = value['request'];
  const { order, kernelInstall } = value['way'];
  return (
    [root, cache].every((path) => typeof path === 'string' && path.startsWith('/')) &&
    typeof kernelVersion === 'string' &&
    Array.isArray(assignments) &&
    (isObject(order) ? typeof order['output'] === 'string' : Array.isArray(kernelInstall))
  );
}

/** The command that makes kernel-install run its plugins again for a kernel. */
export function kernelInstallCommand(version: string, image: HostPath): readonly string[] {
  return ['kernel-install', 'add', version, hostPath(image)];
}
