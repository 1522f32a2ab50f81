import { copyFile, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { Resources } from '../../base/disposal.ts';
import { isErrno, MkimgError } from '../../base/errors.ts';
import { lstatIfExists, makeDirectory, namesIn, readTextIfExists } from '../../base/files.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { discardSegment } from '../../initrd/segment-cache.ts';
import type { VerbContext } from '../verb.ts';
import { noteDamage } from './cache-lock.ts';
import type { InitrdRequest } from './request.ts';

/** Where an initrd is made. */
export interface CachePlace {
  readonly request: InitrdRequest;
  /** Nothing in it is left when the work is done. */
  readonly isTemporary: boolean;
}

/**
 * Does work that needs the cache, and does it again where the cache was to blame: a damaged part is thrown away; a cache
 * that cannot be written to, or whose disk is full, is replaced by a temporary one, which knows what the other has. A machine
 * that gets a new kernel shall have its initrd.
 */
export async function withCache<T>(
  request: InitrdRequest,
  context: Pick<VerbContext, 'events'>,
  work: (place: CachePlace) => Promise<T>,
): Promise<T> {
  await using remedies = new Remedies(request, context);
  for (let place: CachePlace = { request, isTemporary: false }; ;) {
    try {
      const result = await work(place);
      // undefined: another process will do it, and say so.
      if (place.isTemporary && result !== undefined)
        noteTemporary(request.cache, place.request.cache, context);
      return result;
    } catch (error) {
      place = await remedies.against(error, place);
    }
  }
}

class Remedies implements AsyncDisposable {
  readonly #held = new Resources();
  readonly #damaged = new Set<string>();
  readonly #request: InitrdRequest;
  readonly #context: Pick<VerbContext, 'events'>;

  constructor(request: InitrdRequest, context: Pick<VerbContext, 'events'>) {
    this.#request = request;
    this.#context = context;
  }

  /** Where to try again. @throws the error, where nothing helps against it */
  async against(error: unknown, place: CachePlace): Promise<CachePlace> {
    if (!(error instanceof MkimgError)) throw error;
    const { code, items } = error;
    if (code === 'bad-segment' && !items.some((path) => this.#damaged.has(path))) {
      items.forEach((path) => this.#damaged.add(path));
      if (await discard(items, this.#context)) return place;
    } else if (!isFaultOfCache(error)) throw error;
    if (place.isTemporary) throw error;
    const { cache } = this.#request;
    const temporary = await temporaryCache(this.#held, cache, { damaged: [...this.#damaged], error });
    return { request: { ...this.#request, cache: temporary }, isTemporary: true };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#held[Symbol.asyncDispose]();
  }
}

function isFaultOfCache({ code }: MkimgError): boolean {
  return code === 'cache-not-writable' || code === 'cache-full';
}

/** False where they cannot be removed: the cache is read-only. */
async function discard(
  segments: readonly string[],
  { events }: Pick<VerbContext, 'events'>,
): Promise<boolean> {
  for (const path of segments) {
    noteDamage(path, events);
    try {
      await discardSegment(hostPath(path));
    } catch (error) {
      if (!isErrno(error, 'EROFS', 'EACCES', 'EPERM')) throw error;
      return false;
    }
  }
  return true;
}

/** What making all parts of an initrd takes in a cache: the packages unpacked, and their archives. */
const wantedSpace = 768 * 2 ** 20;

interface Trouble {
  /** Files of segments that must not be used. */
  readonly damaged: readonly string[];
  /** What the cache failed with. */
  readonly error: MkimgError;
}

/** A cache of its own in a directory for temporary files, which is removed at the end. @throws the error without one */
async function temporaryCache(held: Resources, cache: HostPath, trouble: Trouble): Promise<HostPath> {
  for (const parent of new Set([tmpdir(), '/var/tmp', '/tmp', '/run'])) {
    if ((await freeSpace(parent)) < wantedSpace) continue;
    const made = await temporaryDirectory(parent, 'mkimg-cache-').catch((error: unknown) => {
      if (isErrno(error)) return undefined;
      throw error;
    });
    if (made === undefined) continue;
    const temporary = hostPath(join(held.use(made).path, 'initrd'));
    await copyRecords(cache, temporary, trouble.damaged);
    return temporary;
  }
  throw trouble.error;
}

async function freeSpace(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch (error) {
    if (isErrno(error)) return 0;
    throw error;
  }
}

/** Records say where a segment is, so that those of the other cache are used as they are. */
async function copyRecords(from: HostPath, to: HostPath, damaged: readonly string[]): Promise<void> {
  const [source, target] = [from, to].map((cache) => join(cache, 'records')) as [string, string];
  await makeDirectory(target, 0o700);
  for (const name of await namesIn(source, 'EACCES')) {
    const file = join(source, name);
    if ((await lstatIfExists(file))?.isFile() !== true) continue;
    const text = (await readTextIfExists(file)) ?? '';
    if (damaged.some((path) => text.includes(JSON.stringify(path)))) continue;
    await copyFile(file, join(target, name));
  }
}

function noteTemporary(cache: HostPath, temporary: HostPath, { events }: Pick<VerbContext, 'events'>): void {
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'cache-bypassed' },
    message: `Nothing can be written to ${cache}: the initrd was made in ${join(temporary, '..')}, and nothing of it is kept`,
    hint: 'It takes longer each time. Make the directory writable, make room in it, or name another one with --cache-directory.',
  });
}
