import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hostPath } from '../base/brand.ts';
import type { Opened } from '../plan/step.ts';
import type { ScriptSettings } from '../plan/vocabulary.ts';
import type { Mount } from '../sandbox/types.ts';
import { aptRun, prepareAptConfiguration } from './apt/configuration.ts';
import { ensureMetadata } from './apt/metadata.ts';
import { metadataDirectory } from './apt/resolve.ts';
import type { BuildContext } from './implementation.ts';
import { buildroot } from './script-environment.ts';
import { helpersDirectory } from './script-helpers.ts';

/** What lets scripts beside the tree install packages into it. */
export interface ScriptApt {
  readonly mounts: readonly Mount[];
  readonly env: Readonly<Record<string, string>>;
  /** Programs by name, for the directory of helpers. */
  readonly programs: Readonly<Record<string, string>>;
}

/** Both the script and commands inside the image see this directory. */
const archives = '/var/tmp/mkimg-archives';
const dpkgInImage = 'dpkg-in-image';

/** Settings on top of those of all runs of apt: it acts on the image, and the image's own dpkg does the work. */
const aptSettings: readonly (readonly [string, string])[] = [
  ['Dir::State::status', `${buildroot}/var/lib/dpkg/status`],
  ['Dir::Bin::dpkg', `${helpersDirectory}/${dpkgInImage}`],
  ['Dir::Cache::archives', archives],
  ['APT::Get::Assume-Yes', 'true'],
  ['APT::Install-Recommends', 'false'],
  ['DPkg::Use-Pty', 'false'],
];

/** Prepares apt for scripts that may use the network, over the indexes that the image's packages were chosen from. */
export async function scriptApt(
  { repositories, environment }: Pick<Opened<ScriptSettings>, 'repositories' | 'environment'>,
  context: BuildContext,
): Promise<ScriptApt> {
  if (repositories === undefined) return { mounts: [], env: {}, programs: {} };
  const architectures = [environment['DISTRIBUTION_ARCHITECTURE'] ?? ''];
  const sources = { set: repositories, architectures };
  const metadata = await ensureMetadata(sources, await metadataDirectory(sources, context), {
    ...context,
    // Whether there is news was asked when the image's packages were resolved.
    metadataPolicy: { refresh: 'aged', maxAge: Number.POSITIVE_INFINITY },
  });
  const configuration = hostPath(join(context.work, 'script-apt'));
  await prepareAptConfiguration(sources, configuration);
  const lines = aptSettings.map(([name, value]) => `${name} "${value}";\n`);
  await appendFile(join(configuration, 'apt.conf'), lines.join(''));
  const { mounts = [], env = {} } = aptRun(sources, { configuration, ...metadata });
  return { mounts, env, programs: aptPrograms };
}

const aptGet = ['#!/bin/sh', `mkdir -p ${archives}/partial`].join('\n');

function aptProgram(action: string): string {
  return `${aptGet}\nexec apt-get ${action} "$@"\n`;
}

const actions = {
  install: aptProgram('install'),
  upgrade: aptProgram('upgrade'),
  remove: aptProgram('purge'),
  reinstall: aptProgram('install --reinstall'),
} as const;

/** Maintainer scripts must neither start services nor make boot files. apt calls it with a PATH of its own. */
const dpkgProgram = `#!/bin/sh
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true SYSTEMD_OFFLINE=1
export SYSTEMD_HWDB_UPDATE_BYPASS=1 KERNEL_INSTALL_BYPASS=1 INITRD=No
# apt says first where the database is, as apt sees it.
[ "$1" != --admindir ] || shift 2
exec ${helpersDirectory}/mkosi-chroot dpkg --force-unsafe-io --force-confdef --force-confold "$@"
`;

const aptPrograms: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(actions).flatMap(([name, text]) => [
      [`mkosi-${name}`, text],
      [`mkimg-${name}`, text],
    ]),
  ),
  'apt-get': `${aptGet}\nexec /usr/bin/apt-get "$@"\n`,
  apt: `${aptGet}\nexec /usr/bin/apt-get "$@"\n`,
  [dpkgInImage]: dpkgProgram,
};
