import { treePath } from '../base/brand.ts';
import { sha256 } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';
import type { Opened } from '../plan/step.ts';
import type { StepInputs } from '../plan/vocabulary.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { isAccountField, withPasswordHash, withShadowedPassword, withShell } from './accounts.ts';
import { withAssignments } from './assignments.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { editText, makeText } from './tree-files.ts';

type Settings = Opened<StepInputs['firstboot']>;

/**
 * Answers the questions of the first boot, in the tree itself and as credentials in usr/lib/credstore, from which
 * systemd takes them again when /etc was emptied. Initrds have no such boot and get no credentials.
 *
 * systemd-firstboot is not used: what it writes depends on where it comes from (Debian 12's puts the locale into
 * etc/default/locale, which Debian 13 replaces by a link at boot), it checks time zones against the tools' tzdata, takes the
 * password from its argv, and dates the change of the password by the clock.
 */
export const firstboot: TreeStep<'firstboot'> = {
  output: 'tree',
  version: 1,
  tools: [{ tool: 'openssl', reason: 'to hash the root password' }],
  async run(inputs, root, context) {
    const tree = treeAt(root);
    checkValues(inputs);
    await setLocale(tree, inputs);
    if (inputs.keymap !== undefined) await setKeymap(tree, inputs.keymap);
    if (inputs.hostname !== undefined) await tree.writeText(treePath('etc/hostname'), `${inputs.hostname}\n`);
    if (inputs.timezone !== undefined) await setTimezone(tree, inputs.timezone);
    if (inputs.rootShell !== undefined) await setRootShell(tree, inputs.rootShell);
    const hash = await rootPasswordHash(inputs, tree, context);
    if (hash !== undefined) await setRootPassword(tree, hash);
    if ((await tree.type(treePath('etc/initrd-release'))) === undefined) {
      await writeCredentials(tree, firstbootCredentials(inputs, hash));
    }
  },
};

function checkValues({ locale, localeMessages, keymap, hostname }: Settings): void {
  for (const value of [locale, localeMessages, keymap, hostname]) {
    if (value === undefined || /^[A-Za-z0-9_.@?-]+$/.test(value)) continue;
    throw new MkimgError('bad-first-boot-setting', `Cannot use '${value}' as locale, keymap or host name.`, {
      hint: 'Letters, digits and the characters . _ @ - are possible.',
      class: 'usage',
    });
  }
}

async function setLocale(tree: Tree, { locale, localeMessages }: Settings): Promise<void> {
  if (locale === undefined && localeMessages === undefined) return;
  const file = treePath('etc/locale.conf');
  await makeText(tree, file, (text) => withAssignments(text, { LANG: locale, LC_MESSAGES: localeMessages }));
  const isDebian = await tree.exists(treePath('etc/debian_version'));
  // Debian's PAM services read the locale here. Debian 13 makes the link itself, at boot.
  if (isDebian && (await tree.readLink(file)) === undefined) {
    await tree.symlink(treePath('etc/default/locale'), '../locale.conf');
  }
}

/** vconsole.conf(5) is a link to default/keyboard in Debian 13. */
async function setKeymap(tree: Tree, keymap: string): Promise<void> {
  await makeText(tree, treePath('etc/vconsole.conf'), (text) => withAssignments(text, { KEYMAP: keymap }));
}

interface Credential {
  readonly name: string;
  readonly value: string;
  readonly isSecret: boolean;
}

/** The same answers as credentials of systemd-firstboot.service and systemd-sysusers.service. */
export function firstbootCredentials(
  settings: Omit<Settings, 'base' | 'rootPassword'>,
  hash: string | undefined,
): readonly Credential[] {
  const values: readonly (readonly [string, string | undefined])[] = [
    ['firstboot.locale', settings.locale],
    ['firstboot.locale-messages', settings.localeMessages],
    ['firstboot.keymap', settings.keymap],
    ['firstboot.timezone', settings.timezone],
    ['passwd.shell.root', settings.rootShell],
    ['passwd.hashed-password.root', hash],
  ];
  return values.flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value, isSecret: name.includes('password') }],
  );
}

async function writeCredentials(tree: Tree, credentials: readonly Credential[]): Promise<void> {
  for (const { name, value, isSecret } of credentials) {
    await tree.writeText(treePath(`usr/lib/credstore/${name}`), value, isSecret ? 0o600 : 0o644);
  }
}

/**
 * Links etc/localtime to the zone. Images without tzdata get the link too, as from systemd; initrds are made so.
 * @throws MkimgError `unknown-timezone` when tzdata is there and does not know the zone.
 */
async function setTimezone(tree: Tree, timezone: string): Promise<void> {
  const zones = 'usr/share/zoneinfo';
  const isName = /^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(timezone);
  const hasZones = await tree.exists(treePath(zones));
  if (!isName || (hasZones && !(await tree.exists(treePath(`${zones}/${timezone}`))))) {
    throw new MkimgError('unknown-timezone', `The image knows no time zone '${timezone}'.`, {
      hint: `Timezone= takes a name such as Europe/Berlin, as found below /${zones}.`,
    });
  }
  await tree.symlink(treePath('etc/localtime'), `../${zones}/${timezone}`);
  // Debian up to 12 keeps the name here as well, and some programs read nothing else.
  await editText(tree, treePath('etc/timezone'), () => `${timezone}\n`);
}

async function setRootShell(tree: Tree, shell: string): Promise<void> {
  const isPath = shell.startsWith('/') && isAccountField(shell) && !shell.split('/').includes('..');
  if (!isPath || !(await tree.exists(treePath(shell)))) {
    throw new MkimgError('unknown-shell', `The image has no shell '${shell}'.`, {
      hint: 'RootShell= takes an absolute path inside the image; add the package that contains it to Packages=.',
    });
  }
  await editText(tree, treePath('etc/passwd'), (passwd) => withShell(passwd, 'root', shell));
}

async function setRootPassword(tree: Tree, hash: string): Promise<void> {
  const shadow = treePath('etc/shadow');
  if (!(await tree.exists(shadow))) await tree.writeText(shadow, '', 0o600);
  await editText(tree, shadow, (text) => withPasswordHash(text, 'root', hash));
  await editText(tree, treePath('etc/passwd'), (passwd) => withShadowedPassword(passwd, 'root'));
}

/** undefined without RootPassword=; empty for an empty password, with which root logs in without one. */
async function rootPasswordHash(
  { rootPassword }: Settings,
  tree: Tree,
  context: BuildContext,
): Promise<string | undefined> {
  if (rootPassword === undefined) return undefined;
  const value = rootPassword.value.reveal();
  if (rootPassword.hashed || value === '') {
    if (!isAccountField(value)) throw badPassword('the hash holds a colon or a line break');
    return value;
  }
  if (/[\n\r\0]/.test(value)) throw badPassword('it holds a line break');
  // openssl would cut it silently.
  if (Buffer.byteLength(value) > 255) throw badPassword('it is longer than 255 bytes');
  const { stdout } = await context.sandbox.run({
    tool: 'openssl',
    argv: passwordHashArgv(passwordSalt((await tree.readText(treePath('usr/lib/os-release'))) ?? '')),
    input: `${value}\n`,
    stdout: 'capture',
    purpose: 'hashing the root password',
  });
  return stdout.trim();
}

/** openssl reads the password from standard input: argv and environment can be read by others. */
export function passwordHashArgv(salt: string): string[] {
  return ['passwd', '-6', '-salt', salt, '-stdin'];
}

/**
 * A salt for crypt(3) that two builds of one image share, and images with another os-release (IMAGE_ID, IMAGE_VERSION)
 * do not. The password must not enter it: whoever has the image could then try passwords against the salt, with one fast
 * hash each, in place of the slow one that crypt makes. Who needs a random salt gives `hashed:` passwords.
 */
export function passwordSalt(osRelease: string): string {
  // Hexadecimal digits are in crypt's alphabet; 16 characters are its longest salt.
  return sha256(`mkimg root password salt\n${osRelease}`).slice(0, 16);
}

function badPassword(reason: string): MkimgError {
  return new MkimgError('bad-root-password', `Cannot use the root password: ${reason}.`, { class: 'usage' });
}
