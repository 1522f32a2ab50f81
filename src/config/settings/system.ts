import { boolean, enumeration, feature, password, text } from '../codecs/scalars.ts';
import { machineId } from '../codecs/machine-id.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';

export const Locale = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  summary: 'LANG= of the system',
  doc: 'Such as C.UTF-8.',
});

export const LocaleMessages = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  summary: 'LC_MESSAGES= of the system',
  doc: 'The language of messages, where it differs from Locale=.',
});

export const Keymap = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'initrd-inherit',
  summary: 'Keyboard of the console',
  doc: 'Such as de or us.',
});

export const Timezone = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'initrd-inherit',
  summary: 'Time zone of the system',
  doc: 'Such as Europe/Berlin.',
});

export const Hostname = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'initrd-inherit',
  summary: 'Name of the system',
  doc: 'Written to /etc/hostname and, as the default name, to os-release.',
});

export const RootShell = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  summary: "Root's shell",
  doc: 'Path of a shell in the image.',
});

export const RootPassword = optionalSetting({
  codec: password,
  fallback: unset,
  scope: 'initrd-inherit',
  implicit: [{ suffix: '.rootpw', type: 'file', use: 'content' }],
  summary: "Root's password",
  doc: `In clear, or \`hashed:\` and a crypt(3) hash. \`hashed:\` alone is the empty password. By default the text of
\`mkimg.rootpw\`, which others must not be able to read.`,
});

export const MachineId = setting({
  codec: machineId,
  fallback: constant('uninitialized'),
  scope: 'local',
  implicit: [{ suffix: '.machine-id', type: 'file', use: 'content' }],
  summary: 'Content of /etc/machine-id',
  doc: '`uninitialized` lets each machine make its own at first boot.',
});

export const Autologin = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  flags: { shorthand: { letter: 'a', text: 'yes' } },
  summary: 'Log root in on the consoles',
  doc: 'For trying images out.',
});

export const MakeInitrd = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  summary: 'Make the image an initrd',
  doc: 'Adds /etc/initrd-release and /init, which systemd needs to act as an initrd.',
});

export const RootOwned = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  summary: 'Give all files of the archive to root',
  doc: `Holds for Format=cpio and Format=uki: all files belong to root, none has a set-user-ID or set-group-ID bit, and
only root may write to them (directories with the sticky bit, such as /tmp, stay open). The archive is then the same whoever
makes it, also where a user without subordinate ids can give files to nobody else, or has another umask. The
built-in initrd has it: programs of initrds run as root, and systemd gives directories such as StateDirectory= to the users of
services when it starts these.`,
});

export const Ssh = setting({
  codec: enumeration(['always', 'auto', 'runtime', 'never'], { boolean: { yes: 'always', no: 'never' } }),
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Let the virtual machine be reached with ssh',
  doc: `\`always\` puts a socket for sshd into the image, \`runtime\` hands it over when the machine starts, \`auto\` does what the
systemd of the image needs, \`never\` nothing.`,
});

export const SELinuxRelabel = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Label the files for SELinux',
  doc: `\`auto\`: if the image has a policy; faults do not matter then.`,
});
