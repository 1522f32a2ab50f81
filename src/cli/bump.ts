import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { ConfigurationError } from '../base/errors.ts';
import { writeFileAtomically } from '../base/files.ts';
import { nextVersion } from '../config/bump.ts';
import { prefixOf } from '../config/directory.ts';
import { hostFiles } from '../config/files.ts';
import { configurationPrograms } from './session/programs.ts';
import { readProject } from './session/project.ts';
import type { Verb, VerbContext } from './verb.ts';

export const bumpVerb: Verb = {
  name: 'bump',
  summary: 'Raise the version of the image',
  doc: `Writes the next version into \`mkimg.version\`: what the program \`mkimg.bump\` prints, if there is one, otherwise the
version there with its last component raised by one.`,
  options: [],
  run: async (context) => {
    const { directory } = await readProject(context);
    const version = await bumpedVersion(directory, context);
    await writeVersion(directory, version);
    context.events.emit({
      type: 'note',
      level: 'info',
      code: 'bumped',
      message: `The version is ${version} now`,
    });
    return 0;
  },
};

/**
 * The version that follows the one in mkimg.version.
 * @throws ConfigurationError when the file is a program, or mkimg.bump fails or says nothing
 */
export async function bumpedVersion(
  directory: HostPath,
  { events, signal }: Pick<VerbContext, 'events' | 'signal'>,
): Promise<string> {
  const file = versionFile(directory);
  const facts = hostFiles.stat(file);
  if (facts?.executable === true)
    throw fault(file, 'executable-value', 'it is a program, so it cannot be raised');
  const script = hostPath(join(directory, `${prefix(directory)}.bump`));
  if (hostFiles.stat(script) === undefined)
    return nextVersion(facts === undefined ? undefined : hostFiles.read(file).trim());
  const outcome = await configurationPrograms(events, signal)({ program: script, argv: [], directory });
  if (!outcome.ok) throw fault(script, 'program-failed', `the program failed: ${outcome.reason}`);
  const version = outcome.output.trim();
  if (version === '' || /\s/.test(version)) throw fault(script, 'program-failed', 'it printed no version');
  return version;
}

/** Puts a version into mkimg.version, complete or not at all. */
export async function writeVersion(directory: HostPath, version: string): Promise<void> {
  await writeFileAtomically(versionFile(directory), `${version}\n`);
}

/** Where the version of a project stands. */
export function versionFile(directory: HostPath): HostPath {
  return hostPath(join(directory, `${prefix(directory)}.version`));
}

function prefix(directory: HostPath): string {
  return prefixOf(hostFiles, directory) ?? 'mkimg';
}

function fault(path: HostPath, code: string, message: string): ConfigurationError {
  return new ConfigurationError([{ severity: 'error', code, message, origin: { kind: 'path', path } }]);
}
