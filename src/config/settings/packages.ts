import { names, packages, pathList } from '../codecs/collections.ts';
import { dlopenPolicy } from '../codecs/dlopen-policy.ts';
import { path } from '../codecs/paths.ts';
import { boolean, feature } from '../codecs/scalars.ts';
import { constant, setting } from '../setting.ts';

export const Packages = setting({
  codec: packages,
  fallback: constant([]),
  scope: 'local',
  inTools: true,
  flags: { long: 'package', short: 'p' },
  essential: true,
  summary: 'Packages to install',
  doc: `Names as the package manager takes them, or paths of package files. They are installed in one
transaction. \`!NAME\` takes a name before it back.`,
});

export const BuildPackages = setting({
  codec: packages,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'build-package' },
  summary: 'Packages for build scripts only',
  doc: 'Installed where the build scripts run, and not in the image.',
});

export const VolatilePackages = setting({
  codec: packages,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'volatile-package' },
  summary: 'Packages to install after the build scripts ran',
  doc: `For packages that change often or come out of the build scripts: they are installed late, on top of everything that can be
kept from the last build.`,
});

export const PackageDirectories = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'universal',
  inTools: true,
  flags: { long: 'package-directory' },
  implicit: [{ suffix: '.packages', type: 'directory', use: 'path' }],
  summary: 'Directories with package files of your own',
  doc: 'The packages in them can be installed by name and win over those of the distribution.',
});

export const VolatilePackageDirectories = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'universal',
  flags: { long: 'volatile-package-directory' },
  summary: 'Directories with packages for VolatilePackages=',
  doc: `As PackageDirectories=, for packages that change often: what is installed from Packages= does not depend on them.`,
});

export const WithRecommends = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  summary: 'Install recommended packages too',
  doc: 'Otherwise only what packages depend on comes with them.',
});

export const WithDocs = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'local',
  summary: 'Install documentation',
  doc: 'Without it, manuals and other documents in packages are left out.',
});

export const RemovePackages = setting({
  codec: names,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'remove-package' },
  summary: 'Packages to remove at the end',
  doc: 'Removed after all scripts but the finalize scripts ran.',
});

export const CleanPackageMetadata = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  summary: "Remove the package manager's records",
  doc: '`auto` keeps them in directories, in archives, and where the package manager itself is in the image.',
});

export const SkipKnownScripts = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  summary: 'Set packages up without their scripts where these are known',
  doc: `An addition of mkimg, for initrds. Where mkimg knows what the maintainer scripts of all packages would leave, it does not run
them: it makes Debian's accounts, alternatives, the list of login shells, the order of name services and the loader's cache
itself; users, volatile files and units come from what packages declare, as ever. Files that PAM needs, and those for people
who log in, are then not there. As soon as one package has a script that mkimg does not know, all are run.`,
});

export const DlopenPolicy = setting({
  codec: dlopenPolicy,
  fallback: constant({}),
  scope: 'local',
  summary: 'Libraries that programs open when they run',
  doc: `An addition of mkimg. Programs such as those of systemd open some libraries only when they need them, and packages do not
depend on these; the programs tell of them in dlopen notes. \`NAME=ACTION\`, where NAME is the name of a library
(\`libtss2-esys.so.0\`), a feature as the notes call it (\`tpm\`), or a priority (\`required\`, \`recommended\`, \`suggested\`); the
most special one counts. ACTION says what to do where the image lacks the library: \`add\` installs its package, \`require\` fails,
\`warn\` warns, \`ignore\` does nothing. By default initrds have \`required=require recommended=warn suggested=ignore\`, and other
images are not looked at.`,
});
