import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { sha256 } from '../base/canonical.ts';
import { Resources } from '../base/disposal.ts';
import { isDirectory } from '../base/files.ts';
import type { Opened } from '../plan/step.ts';
import type { ScriptSettings } from '../plan/vocabulary.ts';
import { mountOverlay } from '../sandbox/overlay.ts';
import type { BuildContext } from './implementation.ts';

type Settings = Opened<ScriptSettings>;

/** BuildSources= as the scripts of one step see them. */
export interface ScriptSources extends AsyncDisposable {
  readonly sources: Settings['sources'];
}

/**
 * The sources themselves or, for BuildSourcesEphemeral=, a layer over each, which goes at the end of the scope. With
 * `buildcache` what is in the layer is kept in the build directory for the next build.
 */
export async function openSources(settings: Settings, context: BuildContext): Promise<ScriptSources> {
  const { sources, sourcesMode = 'direct' } = settings;
  if (sourcesMode === 'direct') return { sources, [Symbol.asyncDispose]: () => Promise.resolve() };
  await using mounts = new Resources();
  const covered: Settings['sources'][number][] = [];
  for (const [index, entry] of sources.entries()) {
    const path = entry.source.path;
    // Files cannot be covered.
    if (!(await isDirectory(path))) covered.push(entry);
    else {
      const scratch = join(context.work, `sources${index}`);
      const overlay = {
        lowers: [path],
        target: hostPath(join(scratch, 'src')),
        ...coverOf(settings, path, scratch),
      };
      await rm(overlay.work, { recursive: true, force: true });
      for (const directory of [overlay.upper, overlay.work, overlay.target])
        await mkdir(directory, { recursive: true });
      mounts.use(await mountOverlay(overlay));
      covered.push({ ...entry, source: { path: overlay.target } });
    }
  }
  const kept = mounts.move();
  return { sources: covered, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() };
}

/** Where changes to a source go, with overlayfs's own directory beside it. */
function coverOf(
  { sourcesMode, buildDirectory }: Settings,
  source: HostPath,
  scratch: string,
): { readonly upper: HostPath; readonly work: HostPath } {
  const isKept = sourcesMode === 'buildcache' && buildDirectory !== undefined;
  const place = isKept ? join(buildDirectory, '.mkimg-sources', sha256(source).slice(0, 16)) : scratch;
  return { upper: hostPath(join(place, 'upper')), work: hostPath(join(place, 'work')) };
}
