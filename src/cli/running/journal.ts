import { join } from 'node:path';
import { MkimgError } from '../../base/errors.ts';
import { exists } from '../../base/files.ts';
import { Resources } from '../../base/disposal.ts';
import { buildable } from '../../config/buildable.ts';
import type { BuildableConfig } from '../../config/project.ts';
import { mainOutput } from '../../qemu/image.ts';
import type { ImageJournal } from '../../qemu/image-journal.ts';
import { diskJournal, treeJournal } from '../../qemu/image-journal.ts';
import { readRecord } from '../../qemu/running/registry.ts';
import { findOnPath } from '../../sandbox/lookup.ts';
import { callerUid } from '../../sandbox/namespace.ts';
import { runAttached } from '../../sandbox/process.ts';
import { shellCommand } from '../../sandbox/text.ts';
import { imageOption, selectImage } from '../session/images.ts';
import { checkValues, readProject } from '../session/project.ts';
import { withBuildHistory } from '../session/remembered-build.ts';
import type { Verb, VerbContext } from '../verb.ts';
import { machineNameOf, ownRegistry } from './names.ts';
import { runInMachine } from './ssh.ts';

type Reader = 'journalctl' | 'coredumpctl';

/** `mkimg journalctl`, `mkimg coredumpctl`: what an image has logged. */
export const journalVerbs: readonly Verb[] = [
  verbOf('journalctl', 'Show the journal of the image, or of the machine that runs'),
  verbOf('coredumpctl', 'Show crashes of the image, or of the machine that runs'),
];

function verbOf(reader: Reader, summary: string): Verb {
  return {
    name: reader,
    summary,
    doc: `Runs ${reader} with the words after \`--\`: in the machine that \`mkimg qemu\` runs for this project, by ssh; where none
runs, on what the image holds from boots without Ephemeral=yes. From a tree and from ext4 it can be read without root.`,
    words: { usage: '[-- WORD...]', choices: [] },
    answers: true,
    options: [imageOption],
    run: (context) => run(reader, context),
  };
}

const sshSeconds = 60;

async function run(reader: Reader, context: VerbContext): Promise<number> {
  const words = [...context.words, ...context.rest];
  const project = await readProject(await withBuildHistory(context));
  const image = selectImage(project, context);
  const name = machineNameOf(project.main.config.Machine, image.name);
  const machine = await readRecord(ownRegistry(), name);
  if (machine !== undefined) {
    const command = [shellCommand([reader, '--no-pager', ...words])];
    return runInMachine(machine, { context, seconds: sshSeconds, command });
  }
  checkValues(image, 'run');
  return readOffline(buildable(image.config), { reader, words, context });
}

interface Reading {
  readonly reader: Reader;
  readonly words: readonly string[];
  readonly context: VerbContext;
}

async function readOffline(config: BuildableConfig, { reader, words, context }: Reading): Promise<number> {
  const program = await findOnPath(reader);
  if (program === undefined) {
    const name = reader === 'journalctl' ? 'systemd' : 'systemd-coredump';
    throw new MkimgError('tool-missing', `Cannot find ${reader} on this machine.`, {
      hint: `apt install ${name}`,
    });
  }
  await using parts = new Resources();
  const journal = await journalOf(config, context);
  if (journal.kind === 'files') parts.use(journal.directory);
  return await runAttached({ argv: [program, placeFlag(journal), ...words], env: process.env });
}

async function journalOf(config: BuildableConfig, { events }: VerbContext): Promise<ImageJournal> {
  const path = mainOutput(config);
  if (!(await exists(path))) {
    throw new MkimgError(
      'not-built',
      `no machine runs, and the image has not been built: ${path} does not exist`,
      {
        hint: 'Build it with `mkimg build`, and start it with `mkimg qemu`.',
      },
    );
  }
  if (config.Format === 'directory') return treeJournal(path);
  if (config.Format === 'disk' && config.CompressOutput === 'none') return diskJournal(path, events);
  throw new MkimgError('no-journal', `an image of Format=${config.Format} keeps no journal`, {
    hint: 'Start it with `mkimg qemu`, and ask while it runs.',
  });
}

/** Where the reader looks. @throws MkimgError `needs-root` for disks that only the kernel can read */
function placeFlag(journal: ImageJournal): string {
  switch (journal.kind) {
    case 'root':
      return `--root=${journal.path}`;
    case 'files':
      return `--directory=${join(journal.directory.path, 'journal')}`;
    case 'image':
      if (callerUid() === 0) return `--image=${journal.path}`;
      throw new MkimgError('needs-root', `${journal.path} has no ext4 root that could be read without root`, {
        hint: 'Run mkimg as root, or ask while the machine runs.',
        class: 'usage',
      });
  }
}
