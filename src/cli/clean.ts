import { join } from 'node:path';
import { outputRecords } from '../engine/output-records.ts';
import type { OutputRecord } from '../engine/output-records.ts';
import { lockOutputDirectory } from '../engine/publish.ts';
import { removeTree } from '../engine/staging.ts';
import { openStore } from '../engine/store.ts';
import { outputBase } from '../plan/outputs.ts';
import { currentMode, decidePrivileges } from '../sandbox/namespace.ts';
import { reenter } from './session/command-line.ts';
import { readProject } from './session/project.ts';
import { cacheLayoutOf } from './session/session.ts';
import type { Verb, VerbContext } from './verb.ts';

/**
 * Removes what builds of this image put into its output directory, by the records of those builds: files that mkimg did
 * not make stay. With -f the results in the cache that the outputs were taken from go as well; `mkimg cache prune` is for
 * the rest, which other projects may share.
 */
export const cleanVerb: Verb = {
  name: 'clean',
  summary: 'Remove the outputs of earlier builds; with -f also their results in the cache',
  doc: `Removes what earlier builds put into the output directory, by their records: other files stay. With \`-f\` the stored
results that the outputs came from go as well.`,
  options: [],
  run: async (context) => {
    const { main } = await readProject(context);
    const store = await openStore(cacheLayoutOf(main.config));
    const directory = main.config.OutputDirectory;
    const records = outputRecords(store.layout.state);
    const ours = (await records.of(directory)).filter(({ name }) => belongsTo(name, outputBase(main.config)));
    if (ours.length === 0) return 0;
    if (needsNamespace(ours, context) && currentMode() === undefined) {
      return reenter(await decidePrivileges(), context);
    }
    await using _lock = await lockOutputDirectory(directory, {
      store,
      events: context.events,
      signal: context.signal,
    });
    for (const record of ours) {
      for (const { name } of record.items) await removeTree(join(directory, name));
      if (context.options.force > 0) await store.remove(record.key);
      await records.remove(record);
    }
    const count = ours.reduce((sum, { items }) => sum + items.length, 0);
    const message = `Removed ${count} files from ${directory}`;
    context.events.emit({ type: 'note', level: 'info', code: 'cleaned', message });
    return 0;
  },
};

/** Outputs of one image are called NAME or NAME.SOMETHING; another image may use the same directory. */
export function belongsTo(name: string, base: string): boolean {
  return name === base || name.startsWith(`${base}.`);
}

/** Trees hold files of subordinate ids. */
function needsNamespace(records: readonly OutputRecord[], { options }: VerbContext): boolean {
  return options.force > 0 || records.some(({ items }) => items.some(({ type }) => type === 'directory'));
}
