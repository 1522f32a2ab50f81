import { basename } from 'node:path';
import { kernelArguments, trees } from '../codecs/collections.ts';
import { credentials } from '../codecs/machine.ts';
import { path } from '../codecs/paths.ts';
import { portForwards } from '../codecs/ports.ts';
import { boolean, enumeration, feature, size, text } from '../codecs/scalars.ts';
import { constant, fromContext, optionalSetting, setting, unset } from '../setting.ts';
import { networks } from './values.ts';

export const NSpawnSettings = optionalSetting({
  codec: path({ mustExist: true }),
  fallback: unset,
  scope: 'main',
  effect: 'later',
  flags: { long: 'settings' },
  implicit: [{ suffix: '.nspawn', type: 'file', use: 'path' }],
  summary: 'Settings for systemd-nspawn',
  doc: `A file in the form of systemd.nspawn(5), which is written beside the output. By default \`mkimg.nspawn\`.`,
});

export const Ephemeral = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'main',
  summary: 'Boot a copy that is thrown away',
  doc: 'The image stays as it was built.',
});

export const Credentials = setting({
  codec: credentials,
  fallback: constant([]),
  scope: 'main',
  flags: { long: 'credential' },
  implicit: [{ suffix: '.credentials', type: 'directory', use: 'path' }],
  summary: 'Credentials for systemd in the virtual machine',
  doc: `\`NAME=VALUE\`, a file whose name is the name of the credential, or a directory of such files. Files that are programs
are run each time a machine is started, and what they write is the credential.`,
});

export const KernelCommandLineExtra = setting({
  codec: kernelArguments,
  fallback: constant([]),
  scope: 'main',
  summary: 'Arguments for the kernel in the virtual machine',
  doc: 'They hold for this boot and are not built into the image.',
});

export const RuntimeTrees = setting({
  codec: trees({ absolute: false }),
  fallback: constant([]),
  scope: 'main',
  flags: { long: 'runtime-tree' },
  summary: 'Directories of the host in the running image',
  doc: `Items are \`SOURCE[:TARGET]\`; targets that do not begin with a slash are below \`/root/src\`. What the guest writes
there is written on the host. Virtual machines get them by virtiofs, or by 9p where there is no virtiofsd; their systemd (254
or later) mounts them.`,
});

export const RuntimeSize = optionalSetting({
  codec: size,
  fallback: unset,
  scope: 'main',
  summary: 'Size that the disk is grown to before it boots',
  doc: 'Such as 8G.',
});

export const RuntimeNetwork = setting({
  codec: enumeration(networks),
  fallback: constant('user'),
  scope: 'main',
  summary: 'Network of the virtual machine',
  doc: `\`user\` reaches the outside through QEMU, and is reached through RuntimePorts=. \`interface\` makes a network interface
\`vt-NAME\` of the host for the machine, which needs root, and somebody who serves it: systemd-networkd does.`,
});

export const RuntimePorts = setting({
  codec: portForwards,
  fallback: constant([]),
  scope: 'main',
  flags: { long: 'runtime-port' },
  summary: 'Ports of the host that lead into the virtual machine',
  doc: `Items are \`HOST:GUEST\`, \`udp:HOST:GUEST\`, or one number for both: \`8080:80\` makes
<http://127.0.0.1:8080> the machine's port 80. Only the host itself can reach them. With RuntimeNetwork=user. mkosi has no such setting.`,
});

export const RuntimeBuildSources = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'main',
  summary: 'Show the build sources in the running image',
  doc: `BuildSources= and BuildDirectory= are below \`/work\`, as in build scripts, in the way of RuntimeTrees=.`,
});

export const BindUser = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'main',
  effect: 'later',
  summary: 'Take the calling user into the running image',
  doc: `The user exists there with the home directory of the host. Containers and systemd-vmspawn can do it.`,
});

export const SshKey = optionalSetting({
  codec: path({ mustExist: true, secret: true }),
  fallback: unset,
  scope: 'main',
  implicit: [{ suffix: '.key', type: 'file', use: 'path' }],
  summary: 'Private key to log in with',
  doc: `For \`mkimg ssh\`. Others must not be able to read it. By default \`mkimg.key\`; without it each machine gets a key of
its own.`,
});

export const SshCertificate = optionalSetting({
  codec: path({ mustExist: true }),
  fallback: unset,
  scope: 'main',
  implicit: [{ suffix: '.crt', type: 'file', use: 'path' }],
  summary: 'Certificate whose key may log in',
  doc: `An X.509 certificate; its public key is handed to the machine. By default \`mkimg.crt\`.`,
});

export const Machine = optionalSetting({
  codec: text,
  fallback: fromContext(({ directory, isProjectless }) =>
    isProjectless === true ? undefined : basename(directory),
  ),
  scope: 'main',
  summary: 'Name of the running machine',
  doc: `How \`mkimg ssh\`, \`console\` and the like find it. By default the name of the project\'s directory. Where a machine of
that name runs already, the next one gets a number.`,
});

export const ForwardJournal = optionalSetting({
  codec: path(),
  fallback: unset,
  scope: 'main',
  effect: 'later',
  summary: 'Where the journal of the machine goes',
  doc: `A file that ends in \`.journal\`, or a directory.`,
});

export const SysupdateDirectory = optionalSetting({
  codec: path({ mustExist: true }),
  fallback: unset,
  scope: 'main',
  effect: 'later',
  flags: { oldLongs: ['sysupdate-dir'] },
  implicit: [{ suffix: '.sysupdate', type: 'directory', use: 'path' }],
  summary: 'Transfer definitions for systemd-sysupdate',
  doc: `A directory of files in the form of sysupdate.d(5). By default \`mkimg.sysupdate/\`.`,
});

export const StorageTargetMode = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'main',
  effect: 'later',
  summary: 'Offer the disk image over the network',
  doc: `Where it is served, also as an NVMe-TCP target.`,
});

export const Register = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'main',
  effect: 'later',
  summary: 'Tell systemd-machined about the machine',
  doc: `\`auto\`: if it runs and can take machines of ordinary users.`,
});
