import { randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256 } from '../../base/brand.ts';
import { hostPath, sha256Digest } from '../../base/brand.ts';
import { byBytes, digestJson, sha256 } from '../../base/canonical.ts';
import type { Origin } from '../../base/diagnostic.ts';
import { MkimgError } from '../../base/errors.ts';
import { exists, readTextIfExists, writeFileAtomically } from '../../base/files.ts';
import { parseStanzas } from '../../distro/deb822.ts';
import type { BuildContext, MetadataPolicy } from '../implementation.ts';
import { aptRun, aptUpdateArgv, prepareAptConfiguration, proxyEnvironment } from './configuration.ts';
import { explainUpdateFailure } from './faults.ts';
import type { AptSources } from './repository-set.ts';

/*
 * METADATA/DIGEST/state.json names the current generation of package indexes, a directory beside it. An update makes a new
 * generation and replaces state.json, so that readers always see a whole one, and a broken download leaves the old in use.
 */

/** The current package indexes of one repository set. */
export interface MetadataState {
  /** Digest of the release files: changes whenever the repositories do. */
  readonly id: Sha256;
  /** When the mirror was last asked, in milliseconds since the epoch. */
  readonly checked: number;
  /** Name of the directory with `lists` and `cache`. */
  readonly generation: string;
  /** The release file that stops being valid first. */
  readonly validUntil: { readonly file: string; readonly time: number } | undefined;
}

/** Package indexes, ready for apt. */
export interface Metadata {
  readonly id: Sha256;
  readonly lists: HostPath;
  readonly cache: HostPath;
}

/** The state of the indexes below `directory`; undefined when there are none. */
export async function readMetadataState(directory: string): Promise<MetadataState | undefined> {
  const text = await readTextIfExists(join(directory, 'state.json'));
  if (text === undefined) return undefined;
  const state = parseState(text);
  if (state === undefined || !(await exists(join(directory, state.generation, 'lists')))) return undefined;
  return state;
}

/**
 * Whether indexes may be used without asking the mirror. `always` asks once in a run: what this process fetched itself
 * is new enough for all of its images.
 */
export function isFresh(state: MetadataState, policy: MetadataPolicy, now = Date.now()): boolean {
  switch (policy.refresh) {
    case 'never':
      return true;
    case 'aged':
      return now - state.checked < policy.maxAge;
    case 'always':
      return state.checked >= now - process.uptime() * 1000;
  }
}

/** Whether a release file was past its Valid-Until when it was fetched. */
export function isExpired(state: MetadataState): boolean {
  return state.validUntil !== undefined && state.validUntil.time < state.checked;
}

/**
 * Brings the indexes below `directory` up to date as the policy asks.
 * @throws MkimgError `metadata-missing`, `metadata-expired`, `keyring-missing`, or what explainUpdateFailure() makes of it.
 */
export async function ensureMetadata(
  sources: AptSources,
  directory: HostPath,
  context: BuildContext,
): Promise<Metadata> {
  const mayExpire = !sources.set.checkValidUntil;
  await mkdir(directory, { recursive: true });
  const known = await readMetadataState(directory);
  const isUsable = known !== undefined && isFresh(known, context.metadataPolicy);
  const state =
    isUsable && (mayExpire || !isExpired(known))
      ? known
      : await renewed(sources, directory, { known, context });
  if (isExpired(state) && !mayExpire) throw expired(state, context.origin);
  const generation = join(directory, state.generation);
  return {
    id: state.id,
    lists: hostPath(join(generation, 'lists')),
    cache: hostPath(join(generation, 'cache')),
  };
}

interface Renewal {
  readonly known: MetadataState | undefined;
  readonly context: BuildContext;
}

/** Asks the mirror, one build at a time; the others take what the first has fetched. */
async function renewed(
  sources: AptSources,
  directory: HostPath,
  { known, context }: Renewal,
): Promise<MetadataState> {
  if (context.metadataPolicy.refresh === 'never') {
    if (known === undefined) throw missing(directory, context.origin);
    return known;
  }
  await using _ = await context.lock(hostPath(join(directory, 'lock')));
  const meanwhile = await readMetadataState(directory);
  const isNew = meanwhile !== undefined && meanwhile.generation !== known?.generation;
  if (isNew && isFresh(meanwhile, context.metadataPolicy)) return meanwhile;
  return await update(sources, directory, context);
}

async function update(
  sources: AptSources,
  directory: HostPath,
  context: BuildContext,
): Promise<MetadataState> {
  await requireKeyrings(sources, context.origin);
  const old = await readMetadataState(directory);
  const name = `indexes-${randomBytes(6).toString('hex')}`;
  const generation = join(directory, name);
  const lists = hostPath(join(generation, 'lists'));
  const cache = hostPath(join(generation, 'cache'));
  const configuration = hostPath(join(context.work, 'apt-update'));
  try {
    await mkdir(cache, { recursive: true });
    // apt asks only for what changed since the times of the old files, which are those of the mirror.
    const keepingTimes = { recursive: true, preserveTimestamps: true } as const;
    if (old !== undefined) await cp(join(directory, old.generation, 'lists'), lists, keepingTimes);
    await mkdir(join(lists, 'partial'), { recursive: true });
    await prepareAptConfiguration(sources, configuration);
    const run = aptRun(sources, { configuration, lists, cache });
    await context.sandbox.run({
      ...run,
      tool: 'apt-get',
      argv: aptUpdateArgv(),
      env: { ...run.env, ...proxyEnvironment(process.env) },
      network: true,
      purpose: 'fetching package indexes',
    });
    const state = await describe(lists, name);
    await writeFileAtomically(join(directory, 'state.json'), `${JSON.stringify(state)}\n`);
    await removeOthers(directory, [name, ...(old === undefined ? [] : [old.generation])]);
    return state;
  } catch (error) {
    await rm(generation, { recursive: true, force: true });
    throw explainUpdateFailure(error, context.origin);
  } finally {
    await rm(configuration, { recursive: true, force: true });
  }
}

/** Digest and earliest expiry of the release files that apt has just verified. */
async function describe(lists: HostPath, generation: string): Promise<MetadataState> {
  const names = (await readdir(lists)).filter((name) => /_(?:In)?Release$/.test(name)).sort(byBytes);
  const digests: [string, Sha256][] = [];
  let validUntil: MetadataState['validUntil'];
  for (const name of names) {
    const text = await readFile(join(lists, name), 'utf8');
    digests.push([name, sha256(text)]);
    const time = releaseValidUntil(text);
    if (time !== undefined && time < (validUntil?.time ?? Infinity)) {
      validUntil = { file: releaseFileName(name), time };
    }
  }
  return { id: digestJson(digests), checked: Date.now(), generation, validUntil };
}

/** Valid-Until= of a release file, in milliseconds since the epoch. The signature around it is apt's business. */
export function releaseValidUntil(text: string): number | undefined {
  const value = parseStanzas(text)
    .find((stanza) => stanza.has('valid-until'))
    ?.get('valid-until');
  const time = value === undefined ? Number.NaN : Date.parse(value);
  return Number.isNaN(time) ? undefined : time;
}

/** apt's name of an index in its lists directory, as an address again: `/` is `_` there, and `_` is `%5f`. */
export function releaseFileName(name: string): string {
  return name.replaceAll('_', '/').replaceAll('%5f', '_');
}

/** A generation that a build still reads stays for one more update. */
async function removeOthers(directory: HostPath, keep: readonly string[]): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith('indexes-') && !keep.includes(name)) {
      await rm(join(directory, name), { recursive: true, force: true });
    }
  }
}

function parseState(text: string): MetadataState | undefined {
  try {
    const value = JSON.parse(text) as Partial<MetadataState>;
    const { id, checked, generation, validUntil } = value;
    if (typeof checked !== 'number' || typeof id !== 'string') return undefined;
    if (typeof generation !== 'string' || !/^indexes-[0-9a-f]+$/.test(generation)) return undefined;
    const limit =
      typeof validUntil?.file === 'string' && typeof validUntil.time === 'number' ? validUntil : undefined;
    return { id: sha256Digest(id), checked, generation, validUntil: limit };
  } catch {
    // Damaged, by whatever cause: indexes are fetched anew.
    return undefined;
  }
}

async function requireKeyrings({ set }: AptSources, origin: Origin | undefined): Promise<void> {
  for (const { signedBy } of set.repositories) {
    if (!set.checkSignatures || signedBy === undefined || (await exists(signedBy.path))) continue;
    throw new MkimgError(
      'keyring-missing',
      `There is no keyring ${signedBy.path} to check repositories with.`,
      {
        hint: 'apt install debian-archive-keyring, or build with a tools tree that has it.',
        ...(origin === undefined ? {} : { origin }),
      },
    );
  }
}

function missing(directory: HostPath, origin: Origin | undefined): MkimgError {
  return new MkimgError('metadata-missing', `There are no package indexes in ${directory}.`, {
    hint: 'Build once with access to the mirror (without --cache-only=metadata or always).',
    ...(origin === undefined ? {} : { origin }),
  });
}

function expired(state: MetadataState, origin: Origin | undefined): MkimgError {
  const { file, time } = state.validUntil ?? { file: 'A release file', time: 0 };
  const date = new Date(time).toISOString().slice(0, 16).replace('T', ' ');
  return new MkimgError('metadata-expired', `${file} is past its Valid-Until of ${date} UTC.`, {
    hint: 'The mirror is out of date, so security updates may be missing: use another Mirror=, or accept it with --check-valid-until=no (CheckValidUntil=no).',
    ...(origin === undefined ? {} : { origin }),
  });
}

/** The state of the indexes for a step's key: undefined when the step has to ask the mirror, or to refuse. */
export async function usableState(
  directory: string,
  policy: MetadataPolicy,
  mayExpire: boolean,
): Promise<string | undefined> {
  const state = await readMetadataState(directory);
  if (state === undefined || !isFresh(state, policy)) return undefined;
  return isExpired(state) && !mayExpire ? undefined : state.id;
}
