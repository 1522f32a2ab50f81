import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '../../base/files.ts';
import { hostFiles } from '../../config/files.ts';
import { historyPath, historyText, parseHistory, withHistory } from '../../config/history-file.ts';
import type { ResolvedImage } from '../../config/project.ts';
import { bumpedVersion, versionFile, writeVersion } from '../bump.ts';
import type { VerbContext, VerbOption } from '../verb.ts';
import { readProject } from './project.ts';

/** Of verbs that build. */
export const autoBumpOption: VerbOption = {
  name: 'auto-bump',
  short: 'B',
  takesValue: false,
  summary: 'Build the next version, and write it to mkimg.version when that went well',
};

/** A build that leaves something in the project when it went well. */
export interface RememberedBuild {
  /** What to build with: the context, with the next version where one is asked for. */
  readonly context: VerbContext;
  finish(main: ResolvedImage): Promise<void>;
}

/** With --auto-bump, works out the next version. An ImageVersion= on the command line goes before it. */
export async function rememberBuild(context: VerbContext): Promise<RememberedBuild> {
  const wanted =
    context.options.extra[autoBumpOption.name] !== undefined &&
    !context.assignments.some(({ setting }) => setting === 'ImageVersion');
  if (!wanted) return { context, finish: (main) => writeHistory(main, context) };
  const { directory } = await readProject(context);
  const before = versionText();
  const version = await bumpedVersion(directory, context);
  const bump = { setting: 'ImageVersion', text: version, flag: `--${autoBumpOption.name}` };
  return {
    context: { ...context, assignments: [...context.assignments, bump] },
    finish: async (main) => {
      await writeHistory(main, context);
      // The mkimg in the namespace has been here before the one that started it.
      if (versionText() === before) await writeVersion(directory, version);
    },
  };

  function versionText(): string | undefined {
    const file = versionFile(directory);
    return hostFiles.stat(file) === undefined ? undefined : hostFiles.read(file);
  }
}

/** History=yes: keeps what the command line said, for verbs that use what was built. */
async function writeHistory(main: ResolvedImage, { assignments }: VerbContext): Promise<void> {
  if (!main.config.History) return;
  const file = join(main.directory, historyPath);
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomically(file, historyText(assignments));
}

/** The context of a verb that uses what was built: with the command line of that build. What does not fit is noted. */
export async function withBuildHistory(context: VerbContext): Promise<VerbContext> {
  const { directory, main } = await readProject({ ...context, events: { emit: () => undefined } });
  const file = join(directory, historyPath);
  const text = main.config.History && hostFiles.stat(file) !== undefined ? hostFiles.read(file) : '';
  const history = parseHistory(text);
  if (history === undefined) return context;
  const { assignments, ignored } = withHistory(history, context.assignments);
  for (const { flag } of ignored) {
    context.events.emit({
      ...{ type: 'note', level: 'warning', code: 'flag-of-build' },
      message: `${flag} is left out: the image was built without it`,
      hint: 'Give -f to build the image with it.',
    });
  }
  return { ...context, assignments };
}
