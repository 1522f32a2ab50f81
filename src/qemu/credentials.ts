import { MkimgError } from '../base/errors.ts';
import type { CredentialChannels } from './machines/machine.ts';

/** A named value for the guest's systemd (systemd.exec(5), ImportCredential=). */
export interface Credential {
  readonly name: string;
  readonly value: Uint8Array;
  /** The guest does without it where there is no room for it. */
  readonly isOptional?: true;
}

/** Ways to a guest that a machine has, as it is put together. */
export interface GuestChannels {
  /** The guest reads SMBIOS tables. */
  readonly smbios: boolean;
  readonly fwCfg: boolean;
  /** Bytes that are free on a kernel command line that mkimg decides; 0 where it decides none. */
  readonly commandLine: number;
}

/**
 * The channels of a machine.
 * @param machine.room bytes of words that the kernel can be given, the ones of `commandLine` among them; 0 where it has a
 * command line that nobody can add to
 */
export function guestChannels(
  { smbios, fwCfg }: CredentialChannels,
  machine: { readonly hasFirmware: boolean; readonly room: number; readonly commandLine: readonly string[] },
): GuestChannels {
  return {
    smbios: smbios === 'always' || (smbios === 'firmware' && machine.hasFirmware),
    fwCfg,
    commandLine: Math.max(0, machine.room - Buffer.byteLength(machine.commandLine.join(' '))),
  };
}

/** How values travel: each SMBIOS string and each fw_cfg value becomes a file of its own, so that `ps` shows no secret. */
export interface CredentialPlan {
  /** Complete SMBIOS type 11 strings. */
  readonly smbios: readonly string[];
  readonly fwCfg: readonly { readonly name: string; readonly content: Uint8Array }[];
  /** Words for the kernel. Whoever may run programs in the guest can read them. */
  readonly commandLine: readonly string[];
}

/**
 * Most bytes of SMBIOS type 11 strings together. The table is limited to 64 KiB; beyond it all of them vanish and
 * neither QEMU nor the guest says so.
 */
export const smbiosLimit = 60_000;
/** QEMU takes 55 characters, of which `opt/io.systemd.credentials/` takes 27. */
export const fwCfgNameLimit = 28;
/** systemd drops credentials silently when together they reach 1 MiB. */
export const credentialSizeLimit = 1_000_000;

/**
 * As planCredentials(), but without optional credentials that do not fit; the first of them are the most important.
 * @throws MkimgError as that does, for the others
 */
export function planFitting(
  credentials: readonly Credential[],
  channels: GuestChannels,
  extraStrings: readonly string[] = [],
): CredentialPlan {
  const optional = credentials.filter(({ isOptional }) => isOptional === true);
  for (let kept = optional.length; ; kept--) {
    const dropped = new Set(optional.slice(kept));
    try {
      return planCredentials(
        credentials.filter((credential) => !dropped.has(credential)),
        channels,
        extraStrings,
      );
    } catch (error) {
      if (kept === 0 || !(error instanceof MkimgError)) throw error;
    }
  }
}

/**
 * Decides how each credential travels: by SMBIOS as long as it fits, the largest by fw_cfg otherwise; without SMBIOS by
 * fw_cfg where the name allows it, else by the kernel command line.
 * @param extraStrings further SMBIOS type 11 strings, such as those for systemd-stub.
 * @throws MkimgError `credential-name`, `credentials-too-large`, `credential-channel` before anything is started, because a
 * guest is silent about a credential that it did not get.
 */
export function planCredentials(
  credentials: readonly Credential[],
  channels: GuestChannels,
  extraStrings: readonly string[] = [],
): CredentialPlan {
  credentials.forEach(checkName);
  checkTotal(credentials);
  return channels.smbios
    ? planWithSmbios(credentials, channels, extraStrings)
    : planWithoutSmbios(credentials, channels);
}

function planWithSmbios(
  credentials: readonly Credential[],
  channels: GuestChannels,
  extraStrings: readonly string[],
): CredentialPlan {
  const strings = new Map(credentials.map((credential) => [credential, smbiosString(credential)]));
  const fixed = sum(extraStrings.map(storedSize));
  const bySize = [...strings].sort((left, right) => storedSize(right[1]) - storedSize(left[1]));
  let used = fixed + sum(bySize.map(([, text]) => storedSize(text)));
  const moved: Credential[] = [];
  for (const [credential, text] of bySize) {
    if (used <= smbiosLimit) break;
    if (!channels.fwCfg || credential.name.length > fwCfgNameLimit) continue;
    moved.push(credential);
    used -= storedSize(text);
  }
  if (used > smbiosLimit) throw tooLarge(bySize[0]?.[0].name, used);
  return {
    smbios: [...extraStrings, ...[...strings].flatMap(([key, text]) => (moved.includes(key) ? [] : [text]))],
    fwCfg: moved.map(fwCfgFile),
    commandLine: [],
  };
}

function planWithoutSmbios(credentials: readonly Credential[], channels: GuestChannels): CredentialPlan {
  const byFwCfg = credentials.filter(({ name }) => channels.fwCfg && name.length <= fwCfgNameLimit);
  const words = credentials.filter((one) => !byFwCfg.includes(one)).map(commandLineWord);
  // Each word follows a blank.
  const bytes = sum(words.map((word) => Buffer.byteLength(word) + 1));
  if (bytes > channels.commandLine) {
    throw new MkimgError(
      channels.commandLine === 0 ? 'credential-channel' : 'credentials-too-large',
      channels.commandLine === 0
        ? 'there is no way for credentials into this machine'
        : `credentials of ${bytes} bytes do not fit on the kernel command line, which has ${channels.commandLine} left`,
      {
        hint: 'The machine has neither SMBIOS nor a fw_cfg device that the guest can read. Put the values into the image.',
        class: 'usage',
      },
    );
  }
  return { smbios: [], fwCfg: byFwCfg.map(fwCfgFile), commandLine: words };
}

function fwCfgFile({ name, value }: Credential): CredentialPlan['fwCfg'][number] {
  return { name: `opt/io.systemd.credentials/${name}`, content: value };
}

/** Text as a credential. */
export function textCredential(name: string, text: string): Credential {
  return { name, value: Buffer.from(text) };
}

/** SMBIOS string that makes systemd-stub and systemd-boot append to the kernel command line (systemd 254 and later). */
export function commandLineStrings(words: readonly string[]): string[] {
  if (words.length === 0) return [];
  const text = words.join(' ');
  return [
    `io.systemd.stub.kernel-cmdline-extra=${text}`,
    // For type 1 boot entries, which have no stub.
    `io.systemd.boot.kernel-cmdline-extra=${text}`,
  ];
}

/** A credential on the kernel command line (systemd.system-credentials(7)): for systemd 254 and later. */
export function commandLineWord({ name, value }: Credential): string {
  return `systemd.set_credential_binary=${name}:${Buffer.from(value).toString('base64')}`;
}

function smbiosString(credential: Credential): string {
  return `io.systemd.credential.binary:${credential.name}=${Buffer.from(credential.value).toString('base64')}`;
}

/** Each string ends in a zero byte. */
function storedSize(text: string): number {
  return Buffer.byteLength(text) + 1;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function checkName(credential: Credential): void {
  // systemd: a file name of at most 255 characters; `=` would end it in the SMBIOS string, `:` on the command line.
  if (/^(?!\.{1,2}$)[^/=:\s\p{Cc}]{1,255}$/u.test(credential.name)) return;
  throw new MkimgError('credential-name', `'${credential.name}' is not a name for a credential`, {
    hint: 'Use letters, digits, dots, dashes and underscores.',
    class: 'usage',
  });
}

function checkTotal(credentials: readonly Credential[]): void {
  const total = sum(credentials.map((credential) => credential.value.length));
  if (total <= credentialSizeLimit) return;
  throw new MkimgError('credentials-too-large', `credentials of ${total} bytes together`, {
    hint: `systemd takes at most ${credentialSizeLimit} bytes; put larger files into the image or on a drive.`,
    class: 'usage',
  });
}

function tooLarge(largest: string | undefined, bytes: number): MkimgError {
  return new MkimgError(
    'credentials-too-large',
    `credentials and command line of ${bytes} bytes do not fit into SMBIOS, which holds ${smbiosLimit}`,
    {
      hint:
        largest === undefined
          ? 'Shorten KernelCommandLineExtra=.'
          : `The largest is ${largest}: give it a name of at most ${fwCfgNameLimit} characters (it then travels by fw_cfg), or make it smaller.`,
      class: 'usage',
    },
  );
}
