import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { digestJson, sha256 } from '../../base/canonical.ts';
import { Resources } from '../../base/disposal.ts';
import { readTextIfExists } from '../../base/files.ts';
import { unpackedFile, writeSegment } from '../../initrd/archive.ts';
import type { HostFacts } from '../../initrd/host/facts.ts';
import { hostFacts } from '../../initrd/host/facts.ts';
import type { HostFiles } from '../../initrd/host-files.ts';
import { hostFileEntries, hostFilesContent, opensVolumes, readHostFiles } from '../../initrd/host-files.ts';
import type { Processor } from '../../initrd/microcode.ts';
import {
  microcodeDirectories,
  microcodeEntries,
  microcodeFiles,
  parseProcessor,
} from '../../initrd/microcode.ts';
import { recallSegment, rememberSegment } from '../../initrd/records.ts';
import type {
  Segment,
  SegmentCache,
  SegmentDraft,
  SegmentFiles,
  SegmentRole,
} from '../../initrd/segment-cache.ts';
import { findSegment, segmentRoles } from '../../initrd/segment-cache.ts';
import { look } from '../../initrd/sightings.ts';
import { defaultEpoch } from '../../plan/image.ts';
import type { VerbContext } from '../verb.ts';
import { productBuild } from '../version.ts';
import type { BaseSegments } from './base.ts';
import { faultOfCache, openLocked } from './cache-lock.ts';
import { makeBase, recallBase } from './base.ts';
import { draftModules, requireKernel, watchedModuleFiles } from './modules-part.ts';
import type { PartSettings } from './part-settings.ts';
import { partSettingsJson } from './part-settings.ts';
import type { InitrdRequest } from './request.ts';

/** The parts of an initrd in the order of the kernel, and how many of them had to be made. */
export interface InitrdSegments {
  readonly segments: readonly Segment[];
  readonly made: number;
}

interface Scene {
  readonly request: InitrdRequest;
  readonly version: string;
  readonly context: VerbContext;
  readonly cache: () => Promise<SegmentCache>;
}

/** One part: what is watched for it, and how it is made. */
interface Part {
  readonly role: SegmentRole;
  readonly identity: { readonly [name: string]: Json };
  /** Files that decide about it; undefined where it takes no time to read them all. */
  readonly watched: readonly string[] | undefined;
  /** undefined: there is nothing to put into it. */
  draft(): Promise<SegmentDraft | undefined>;
}

/**
 * Brings all parts up to date. A part of which nothing looks different is taken as it is; the base alone needs the engine.
 * @returns undefined where the base takes a namespace, which this process is not in
 * @throws MkimgError `cache-not-writable`, `cache-full`
 */
export async function obtainSegments(
  request: InitrdRequest,
  context: VerbContext,
): Promise<InitrdSegments | undefined> {
  try {
    return await obtainAll(request, context);
  } catch (error) {
    throw faultOfCache(error, request.cache);
  }
}

async function obtainAll(request: InitrdRequest, context: VerbContext): Promise<InitrdSegments | undefined> {
  await using held = new Resources();
  let opened: Promise<SegmentCache> | undefined;
  const version = await productBuild();
  const scene: Scene = {
    ...{ request, version, context },
    cache: () => (opened ??= openLocked(held, request.cache, context)),
  };
  await requireKernel(request);
  const kept = context.options.force > 0 ? undefined : recallBase(request, version);
  if (kept !== undefined) return inOrder(kept, false, await obtainOthers(scene, kept.settings));
  let others: ReturnType<typeof obtainOthers> | undefined;
  const onSettings = (settings: PartSettings): void => {
    others = obtainOthers(scene, settings);
    // Whoever waits for them sees what is wrong.
    others.catch(() => undefined);
  };
  try {
    const segments = await scene.cache();
    const base = await makeBase({ request, version, segments, context, onSettings });
    return base && inOrder(base, true, (await others) ?? []);
  } finally {
    // Nothing is made any more when the lock of the cache is gone.
    await others?.catch(() => undefined);
  }
}

async function obtainOthers(
  scene: Scene,
  settings: PartSettings,
): Promise<readonly (Obtained | undefined)[]> {
  const others: (Obtained | undefined)[] = [];
  for (const part of await otherParts(scene, settings)) others.push(await obtainPart(part, scene));
  return others;
}

function inOrder(
  { segments: base }: BaseSegments,
  isNew: boolean,
  others: readonly (Obtained | undefined)[],
): InitrdSegments {
  const made = base.map((segment): Obtained => ({ segment, isNew }));
  const all = [...made, ...others.filter((other) => other !== undefined)];
  const segments = all.map((obtained) => obtained.segment);
  return {
    segments: segments.sort(
      (left, right) => segmentRoles.indexOf(left.role) - segmentRoles.indexOf(right.role),
    ),
    made: all.filter((obtained) => obtained.isNew).length,
  };
}

interface Obtained {
  readonly segment: Segment;
  readonly isNew: boolean;
}

async function obtainPart(
  part: Part,
  { request, version, context, cache }: Scene,
): Promise<Obtained | undefined> {
  const { role, watched } = part;
  if (watched === undefined) {
    const draft = madeBy(await part.draft(), version);
    const known = draft && (await findSegment(request.cache, draft));
    if (draft === undefined || known !== undefined) return known && { segment: known, isNew: false };
    return { segment: await (await cache()).obtain(draft), isNew: true };
  }
  const identity = { ...part.identity, version };
  const recalled = context.options.force > 0 ? undefined : recallSegment(request.cache, role, identity);
  if (recalled !== undefined) return recalled.segment && { segment: recalled.segment, isNew: false };
  const segments = await cache();
  const before = look(watched);
  const draft = madeBy(await part.draft(), version);
  const segment = draft && (await segments.obtain(draft));
  const record = { role, identity, watched, segment, notes: null };
  await rememberSegment(request.cache, record, before);
  return segment && { segment, isNew: true };
}

/** Another mkimg may write another segment from the same. The base has the versions of its steps in its key. */
function madeBy(draft: SegmentDraft | undefined, version: string): SegmentDraft | undefined {
  return draft && { ...draft, key: digestJson([draft.key, version]) };
}

async function otherParts(scene: Scene, settings: PartSettings): Promise<readonly Part[]> {
  const files = await readHostFiles(scene.request.root, settings.profiles);
  return [await microcodePart(scene), modulesPart(scene, settings, files), hostPart(scene, files)];
}

async function microcodePart({ request, context }: Scene): Promise<Part> {
  const { root, mode, cache } = request;
  const processor = mode === 'generic' ? undefined : await ownProcessor();
  // A machine of another architecture has none, and needs none.
  const wants = mode === 'generic' || processor !== undefined;
  return {
    role: 'microcode',
    identity: { root, processor: processor === undefined ? wants : { ...processor } },
    watched: microcodeDirectories.map((directory) => join(root, directory)),
    draft: async () => {
      const files = wants ? await microcodeFiles(root, processor) : [];
      if (files.length === 0) return undefined;
      const unpack = (file: Parameters<typeof unpackedFile>[0]): Promise<Buffer> =>
        unpackedFile(file, cache, context);
      const entries = await microcodeEntries(files, { epoch: defaultEpoch, unpack });
      const content = { files: files.map(({ path }) => path) };
      return draftOf(
        { role: 'microcode', key: await filesKey(files.map(({ path }) => path)), content },
        (files) => writeSegment({ entries, epoch: defaultEpoch }, files),
      );
    },
  };
}

async function ownProcessor(): Promise<Processor | undefined> {
  return parseProcessor((await readTextIfExists('/proc/cpuinfo')) ?? '');
}

async function filesKey(paths: readonly string[]): Promise<Sha256> {
  const digests = await Promise.all(paths.map(async (path) => [path, sha256(await readFile(path))]));
  return digestJson(digests);
}

function modulesPart({ request, context }: Scene, part: PartSettings, files: HostFiles): Part {
  const { root, kernelVersion, mode } = request;
  const host = mode === 'generic' ? undefined : hostFacts(hostPath('/'), root);
  const settings = opensVolumes(files) ? withEncryption(part) : part;
  return {
    role: 'modules',
    identity: {
      ...{ root, mode, kernel: kernelVersion, settings: partSettingsJson(settings) },
      host: host === undefined ? null : sha256(JSON.stringify(decisiveFacts(host, settings))),
    },
    watched: [...watchedModuleFiles(request), `${join(root, 'usr/lib/firmware')}/`],
    draft: () => draftModules({ request, settings, host }, context),
  };
}

/** Volumes that the initrd shall unlock need not be open while it is made. */
function withEncryption(settings: PartSettings): PartSettings {
  const profile = { name: 'crypttab', patterns: ['dm-crypt', 'dm-integrity'] };
  return { ...settings, moduleProfiles: [...settings.moduleProfiles, profile] };
}

/** Modules come and go while a machine runs; they decide only where the configuration asks for what is loaded. */
function decisiveFacts(host: HostFacts, { patterns }: PartSettings): Partial<HostFacts> {
  const { loadedModules, ...others } = host;
  return patterns.includes('host') ? { ...others, loadedModules } : others;
}

function hostPart({ context }: Scene, host: HostFiles): Part {
  return {
    role: 'host',
    identity: {},
    // Key files may be anywhere.
    watched: undefined,
    draft: () => Promise.resolve(draftHost(host, context)),
  };
}

function draftHost(host: HostFiles, context: VerbContext): SegmentDraft | undefined {
  for (const path of host.missing) noteMissing(path, context);
  if (host.files.size === 0) return undefined;
  const entries = hostFileEntries(host, defaultEpoch);
  const digests = [...host.files].map(([path, content]) => [path, sha256(content)]);
  const content = hostFilesContent(host);
  return draftOf({ role: 'host', key: digestJson({ digests, secrets: host.secrets }), content }, (files) =>
    writeSegment({ entries, epoch: defaultEpoch }, files),
  );
}

function noteMissing(path: string, { events }: VerbContext): void {
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'key-file-missing' },
    message: `crypttab names ${path}, which is not there: the initrd will ask for the passphrase`,
  });
}

function draftOf(
  { role, key, content }: { readonly role: SegmentRole; readonly key: Sha256; readonly content: Json },
  write: (files: SegmentFiles) => Promise<void>,
): SegmentDraft {
  return {
    role,
    key,
    write: async (files) => {
      await write(files);
      return content;
    },
  };
}
