import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { isErrno, MkimgError } from '../../base/errors.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { BuildContext } from '../implementation.ts';
import { HttpClient, HttpStatusError } from './http.ts';

const parallelDownloads = 6;
const attemptsPerUrl = 5;
const firstPause = 500;

/** The part of a step's context that downloads need. */
export interface FetchContext extends Pick<
  BuildContext,
  'packagePool' | 'sharedFiles' | 'signal' | 'origin' | 'lock' | 'progress'
> {
  /** Tries for each address before it counts as unreachable. */
  readonly attempts?: number;
}

/** What a download needs to know about its file. */
export type PackageFile = Pick<ResolvedPackage, 'name' | 'version' | 'urls' | 'size' | 'sha256'>;

/** Where the pool keeps a package file. */
export function poolPath(pool: HostPath, file: Pick<ResolvedPackage, 'sha256'>): HostPath {
  return hostPath(join(pool, `${file.sha256}.deb`));
}

/**
 * Brings package files into the pool, several at once. What is there is used if its hash is right; what a broken download
 * left is continued. Builds that want the same file at the same time wait for one another.
 * @throws MkimgError `hash-mismatch`, `mirror-unreachable`, `package-gone`; ENOSPC as it comes
 */
export async function fetchPackages(files: readonly PackageFile[], context: FetchContext): Promise<void> {
  await mkdir(context.packagePool, { recursive: true });
  using client = new HttpClient(process.env);
  const failure = new AbortController();
  const signal = AbortSignal.any([context.signal, failure.signal]);
  const report = progressOf(files, context);
  const limit = pLimit(parallelDownloads);
  // The largest first: otherwise it is what everybody waits for at the end.
  const queue = [...files].sort((left, right) => right.size - left.size);
  const downloads = queue.map((file) =>
    limit(async () => {
      try {
        await ensureInPool(file, { client, signal, context, report: (bytes) => report(file, bytes) });
      } catch (error) {
        failure.abort(error);
        throw error;
      }
    }),
  );
  const results = await Promise.allSettled(downloads);
  context.signal.throwIfAborted();
  if (results.some((result) => result.status === 'rejected')) throw failure.signal.reason;
}

interface Download {
  readonly client: HttpClient;
  readonly signal: AbortSignal;
  readonly context: FetchContext;
  /** Says how many bytes of the file are there. */
  report(bytes: number): void;
}

function progressOf(files: readonly PackageFile[], context: FetchContext) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const present = new Map<PackageFile, number>();
  let done = 0;
  let last = 0;
  return (file: PackageFile, bytes: number): void => {
    done += bytes - (present.get(file) ?? 0);
    present.set(file, bytes);
    const now = Date.now();
    if (now - last < 100 && done < total) return;
    last = now;
    context.progress(done, total, 'bytes', file.name);
  };
}

async function ensureInPool(file: PackageFile, download: Download): Promise<void> {
  download.signal.throwIfAborted();
  const path = poolPath(download.context.packagePool, file);
  if (!(await isIntact(path, file))) {
    await using _ = await download.context.lock(hostPath(`${path}.lock`));
    if (!(await isIntact(path, file))) await fetchFile(file, path, download);
  }
  download.report(file.size);
}

/** A file that a disk fault has changed must not get into an image, so the hash is taken each time. */
async function isIntact(path: HostPath, file: PackageFile): Promise<boolean> {
  try {
    if ((await stat(path)).size !== file.size) return false;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
  const hash = createHash('sha256');
  await hashFile(path, hash);
  return hash.digest('hex') === file.sha256;
}

async function hashFile(path: string, hash: Hash): Promise<number> {
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.byteLength;
  }
  return bytes;
}

async function fetchFile(file: PackageFile, path: HostPath, download: Download): Promise<void> {
  // Files of this machine are at hand, and may not be meant for others.
  const isRemote = file.urls.some((url) => !url.startsWith('file:'));
  if (isRemote && (await fetchShared(file, path, download))) return;
  let last: unknown;
  for (const url of file.urls) {
    try {
      await fetchFrom(new URL(url), { file, path, download });
      if (isRemote) download.context.sharedFiles?.offer(file.sha256, path);
      return;
    } catch (error) {
      download.signal.throwIfAborted();
      if (isDiskFull(error)) throw error;
      last = error;
    }
  }
  throw last;
}

async function fetchShared(file: PackageFile, path: HostPath, { context }: Download): Promise<boolean> {
  const { sharedFiles } = context;
  if (sharedFiles === undefined) return false;
  const received = hostPath(`${path}.shared`);
  await rm(received, { force: true });
  try {
    if (!(await sharedFiles.fetch({ sha256: file.sha256, bytes: file.size }, received))) return false;
    await rename(received, path);
    return true;
  } finally {
    await rm(received, { force: true });
  }
}

interface Target {
  readonly file: PackageFile;
  readonly path: HostPath;
  readonly download: Download;
}

/** Tries one address until the file is there, or it is clear that more attempts are of no use. */
async function fetchFrom(url: URL, target: Target): Promise<void> {
  const { file, path, download } = target;
  const part = `${path}.part`;
  for (let attempt = 1; ; attempt++) {
    try {
      const got = await receive(url, part, target);
      if (got === file.sha256) {
        await rename(part, path);
        return;
      }
      await rm(part, { force: true });
      // A part that was left by another download, or a proxy, may be to blame: once more from the start.
      if (attempt > 1) throw mismatch(url, got, target);
    } catch (error) {
      download.signal.throwIfAborted();
      // The engine says which file system it is.
      if (isDiskFull(error)) throw error;
      const known = explain(error, url, target);
      if (known !== undefined) throw known;
      const attempts = download.context.attempts ?? attemptsPerUrl;
      if (attempt >= attempts || url.protocol === 'file:') throw unreachable(error, url, target);
      await sleep(firstPause * 2 ** (attempt - 1), undefined, { signal: download.signal });
    }
  }
}

/** Adds the rest of the file to its part and returns the hash of the whole. */
async function receive(url: URL, part: string, { file, download }: Target): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(part, 'a+', 0o644);
  try {
    let { size } = await handle.stat();
    if (size > file.size) {
      await handle.truncate(0);
      size = 0;
    }
    if (size < file.size) {
      const { body, offset } = await openSource(url, size, download);
      if (offset !== size) await handle.truncate(offset);
      if (offset > 0) await hashFile(part, hash);
      await append(body, handle, { hash, offset, file, download });
    } else {
      await hashFile(part, hash);
    }
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

interface Source {
  readonly body: AsyncIterable<unknown>;
  readonly offset: number;
}

async function openSource(url: URL, offset: number, { client, signal }: Download): Promise<Source> {
  if (url.protocol === 'file:') return { body: createReadStream(url, { start: offset, signal }), offset };
  if (url.protocol === 'http:' || url.protocol === 'https:') return client.open({ url, offset, signal });
  throw new MkimgError(
    'mirror-unreachable',
    `Cannot download from ${url.href}: ${url.protocol} is not supported.`,
    {
      hint: 'Use a mirror with http:, https: or file:.',
    },
  );
}

interface Receiver {
  readonly hash: Hash;
  readonly offset: number;
  readonly file: PackageFile;
  readonly download: Download;
}

async function append(body: AsyncIterable<unknown>, handle: FileHandle, receiver: Receiver): Promise<void> {
  let size = receiver.offset;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    // A server that never ends must not fill the disk.
    if (size > receiver.file.size) break;
    receiver.hash.update(chunk);
    await handle.appendFile(chunk);
    receiver.download.report(size);
  }
  if (size < receiver.file.size)
    throw new Error(`the connection ended after ${size} of ${receiver.file.size} bytes`);
}

function isDiskFull(error: unknown): boolean {
  return isErrno(error, 'ENOSPC', 'EDQUOT');
}

/** Errors that another attempt cannot mend. */
function explain(error: unknown, url: URL, target: Target): MkimgError | undefined {
  if (error instanceof MkimgError) return error;
  const { name, version } = target.file;
  const isGone =
    (error instanceof HttpStatusError && [401, 403, 404, 410].includes(error.status)) ||
    isErrno(error, 'ENOENT');
  if (!isGone) return undefined;
  return fault('package-gone', `The mirror does not have ${name} ${version}: ${url.href}`, {
    target,
    hint: 'The package indexes may be older than the mirror: build again with --cache-only=none, which fetches them anew.',
    cause: error,
  });
}

function mismatch(url: URL, got: string, target: Target): MkimgError {
  const { name, version, sha256 } = target.file;
  const message = `${name} ${version} from ${url.href} has the SHA-256 ${got}, but the signed index says ${sha256}.`;
  return fault('hash-mismatch', message, {
    target,
    hint: 'The mirror or a proxy serves a damaged or changed file: use another Mirror=.',
  });
}

function unreachable(error: unknown, url: URL, target: Target): MkimgError {
  const reason = error instanceof Error ? error.message : String(error);
  return fault('mirror-unreachable', `Cannot fetch ${url.href}: ${reason}`, {
    target,
    hint: 'Check the network, the proxy variables (http_proxy) and Mirror=.',
    cause: error,
  });
}

interface FaultDetails {
  readonly target: Target;
  readonly hint: string;
  readonly cause?: unknown;
}

function fault(code: string, message: string, { target, hint, cause }: FaultDetails): MkimgError {
  const { origin } = target.download.context;
  return new MkimgError(code, message, {
    hint,
    ...(cause === undefined ? {} : { cause }),
    ...(origin === undefined ? {} : { origin }),
  });
}
