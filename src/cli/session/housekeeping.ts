import { amended, isErrno, MkimgError } from '../../base/errors.ts';
import { evaluate } from '../../engine/evaluate.ts';
import { noteProject, touchProject } from '../../engine/projects.ts';
import { prunableBytes, trimAfterBuild, usualLimits } from '../../engine/prune.ts';
import type { Store } from '../../engine/store.ts';
import { formatBytes } from '../reporters/format.ts';
import type { VerbContext } from '../verb.ts';
import type { BuildSession } from './session.ts';

/**
 * After a build: notes what the project stands on, and trims the cache as far as it is due. The build is done, so a disk
 * that is full or read-only by now is no reason to fail.
 */
export async function keepHouse(session: BuildSession, context: VerbContext): Promise<void> {
  try {
    await noteBuild(session, context);
    await trim(session, context);
  } catch (error) {
    if (!isErrno(error, 'ENOSPC', 'EDQUOT', 'EROFS')) throw error;
  }
}

async function noteBuild({ plan, environment }: BuildSession, { options }: VerbContext): Promise<void> {
  const { store } = environment;
  // What was made stands on the indexes as they are now, however old.
  const metadataPolicy = { ...environment.metadataPolicy, refresh: 'never' } as const;
  const { statuses } = await evaluate(plan, { ...environment, metadataPolicy });
  const keys = [...statuses.values()].flatMap((status) => (status.state === 'hit' ? [status.key] : []));
  const layers = await Promise.all(keys.map(async (key) => (await store.find(key))?.record.layers ?? []));
  await noteProject(store.layout.state, options.directory, [...keys, ...layers.flat()]);
}

async function trim({ environment, main }: BuildSession, { signal, events }: VerbContext): Promise<void> {
  const trimmed = await trimAfterBuild(environment.store, main.config.CacheMaxSize, signal);
  const bytes = trimmed === undefined ? 0 : trimmed.bytes + trimmed.packages.bytes;
  if (bytes === 0) return;
  const message = `Trimmed the cache by ${formatBytes(bytes)}`;
  events.emit({ type: 'note', level: 'info', code: 'cache-trimmed', message });
}

/** A build that found its outputs up to date: what they stand on is still of use. */
export async function noteUse({ environment }: BuildSession, { options }: VerbContext): Promise<void> {
  await touchProject(environment.store.layout.state, options.directory);
}

/** Says of a full disk what trimming would free; other errors come back as they are. */
export async function withTrimAdvice(error: unknown, store: Store): Promise<unknown> {
  if (!(error instanceof MkimgError) || error.code !== 'disk-full') return error;
  const unused = await prunableBytes(store, usualLimits);
  const all = await prunableBytes(store, { all: true });
  const hint =
    all === 0
      ? 'The cache holds nothing that could go: choose another place with CacheDirectory= or OutputDirectory=.'
      : `'mkimg cache prune' frees ${formatBytes(unused)} that were not used for 30 days, with --all ${formatBytes(all)}; or choose another place with CacheDirectory= or OutputDirectory=.`;
  return amended(error, { hint });
}
