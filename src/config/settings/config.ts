import { list, pathList } from '../codecs/collections.ts';
import { path } from '../codecs/paths.ts';
import { member } from '../match-rules.ts';
import { constant, setting } from '../setting.ts';

export const Include = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'local',
  flags: { short: 'I' },
  summary: 'Read another file or directory at this point',
  doc: `A file, or a directory that is read like a configuration directory, takes effect where the line stands: later
lines override it. Each is read once for an image.`,
});

export const Profiles = setting({
  codec: list,
  fallback: constant([]),
  scope: 'inherit',
  flags: { long: 'profile' },
  match: member,
  essential: true,
  oldNames: ['Profile'],
  summary: 'Parts of the configuration to switch on',
  doc: `For each name, \`mkimg.profiles/NAME/\` and \`mkimg.profiles/NAME.conf\` are read after all other files, in the
order of the list. Conditions can ask for a profile.`,
});
