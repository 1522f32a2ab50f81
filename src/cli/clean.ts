import { join } from 'node:path';
import { makeDirectory } from '../base/files.ts';
import type { ResolvedImage } from '../config/project.ts';
import { outputRecords } from '../engine/output-records.ts';
import type { OutputRecord } from '../engine/output-records.ts';
import { lockOutputDirectory } from '../engine/publish.ts';
import { removeTree } from '../engine/staging.ts';
import type { Store } from '../engine/store.ts';
import { openStore } from '../engine/store.ts';
import { outputBase } from '../plan/outputs.ts';
import { currentMode } from '../sandbox/namespace.ts';
import { reenter } from './session/command-line.ts';
import { runImageScripts } from './session/host-scripts.ts';
import { buildableImages, imageOption, selectImage } from './session/images.ts';
import { readProject } from './session/project.ts';
import { cacheLayoutOf } from './session/session.ts';
import type { Verb, VerbContext } from './verb.ts';

/**
 * Removes what builds of the project's images put into their output directories, by the records of those builds: files that
 * mkimg did not make stay. With -f the results in the cache that the outputs were taken from go as well; `mkimg cache prune`
 * is for the rest, which other projects may share. Then CleanScripts= run.
 */
export const cleanVerb: Verb = {
  name: 'clean',
  summary: 'Remove the outputs of earlier builds; with -f also their results in the cache',
  doc: `Removes what earlier builds of all images of the project, or of the one that \`--image\` names, put into their output
directories, by their records: other files stay. With \`-f\` the stored results that the outputs came from go as well. At the
end, CleanScripts= run.`,
  options: [imageOption],
  run: runClean,
};

async function runClean(context: VerbContext): Promise<number> {
  const project = await readProject(context);
  const isChosen = context.options.extra[imageOption.name] !== undefined;
  const images = isChosen ? [selectImage(project, context)] : buildableImages(project);
  const store = await openStore(cacheLayoutOf(project.main.config));
  const works = await Promise.all(images.map((image) => cleaningOf(image, store)));
  const busy = works.filter(({ image, records }) => records.length + image.config.CleanScripts.length > 0);
  if (busy.length === 0) return 0;
  if (busy.some((work) => needsNamespace(work, context)) && currentMode() === undefined) {
    return reenter(context);
  }
  for (const work of busy) await clean(work, store, context);
  return 0;
}

/** An image and what is there of it. */
interface Cleaning {
  readonly image: ResolvedImage;
  readonly records: readonly OutputRecord[];
}

async function cleaningOf(image: ResolvedImage, store: Store): Promise<Cleaning> {
  const { config } = image;
  const all = await outputRecords(store.layout.state).of(config.OutputDirectory);
  return { image, records: all.filter(({ name }) => belongsTo(name, outputBase(config))) };
}

async function clean({ image, records: ours }: Cleaning, store: Store, context: VerbContext): Promise<void> {
  const { events, signal, options } = context;
  const { OutputDirectory: directory, CleanScripts: scripts } = image.config;
  const records = outputRecords(store.layout.state);
  await using _lock = await lockOutputDirectory(directory, { store, events, signal });
  for (const record of ours) {
    for (const { name } of record.items) await removeTree(join(directory, name));
    if (options.force > 0) await store.remove(record.key);
    await records.remove(record);
  }
  const count = ours.reduce((sum, { items }) => sum + items.length, 0);
  if (count > 0) {
    const message = `Removed ${count} files from ${directory}`;
    events.emit({ type: 'note', level: 'info', code: 'cleaned', message });
  }
  const mode = currentMode();
  if (scripts.length === 0 || mode === undefined) return;
  await makeDirectory(directory);
  const place = { mode, staging: store.layout.staging, output: directory };
  await runImageScripts('clean', image, { place, context });
}

/** Outputs of one image are called NAME or NAME.SOMETHING; another image may use the same directory. */
export function belongsTo(name: string, base: string): boolean {
  return name === base || name.startsWith(`${base}.`);
}

/** Trees hold files of subordinate ids, and scripts run in a sandbox. */
function needsNamespace({ image, records }: Cleaning, { options }: VerbContext): boolean {
  return (
    image.config.CleanScripts.length > 0 ||
    (records.length > 0 && options.force > 0) ||
    records.some(({ items }) => items.some(({ type }) => type === 'directory'))
  );
}
