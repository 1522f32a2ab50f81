import { join } from 'node:path';
import { flagRows, oldFormFlagRows } from '../../config/settings/table.ts';
import { decidePrivileges, enterNamespace } from '../../sandbox/namespace.ts';
import { productDirectory } from '../product.ts';
import type { VerbContext } from '../verb.ts';
import { saidNotes } from './said-notes.ts';

/** mkimg's own entry point. */
const entryPoint = join(productDirectory, 'dist/cli/main.js');

/** Another verb for the same project with the same settings, as arguments of mkimg. */
export function siblingCommand(
  { options, assignments }: Pick<VerbContext, 'options' | 'assignments'>,
  verb: readonly string[],
): readonly string[] {
  const longNames = new Map([...flagRows, ...oldFormFlagRows].map(({ setting, long }) => [setting, long]));
  return [
    ...['-C', options.isProjectless === true ? '' : options.directory],
    ...assignments.map(({ setting, text }) => `--${longNames.get(setting) ?? setting}=${text}`),
    ...Array.from({ length: options.force }, () => '-f'),
    ...(options.json ? ['--json'] : []),
    ...(options.debug ? ['--debug'] : []),
    ...verb,
  ];
}

/**
 * Runs mkimg again where trees can be made, by default with the arguments that it was given; resolves to its exit code.
 * @throws MkimgError `no-user-namespace`
 */
export async function reenter(
  { events }: Pick<VerbContext, 'events'>,
  args: readonly string[] = process.argv.slice(2),
): Promise<number> {
  const { mode, reason } = await decidePrivileges();
  if (mode === 'single-id') {
    events.emit({
      type: 'note',
      level: 'warning',
      code: 'ownership-flattened',
      message: 'No subordinate ids: all files in the image will belong to root',
      ...(reason === undefined ? {} : { hint: reason }),
    });
  }
  return enterNamespace({ mode, main: entryPoint, args, env: saidNotes() });
}
