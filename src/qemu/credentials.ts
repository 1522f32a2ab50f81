import { MkimgError } from '../base/errors.ts';
import type { CredentialChannels } from './machines/machine.ts';

/** A named value for the guest's systemd (systemd.exec(5), ImportCredential=). */
export interface Credential {
  readonly name: string;
  readonly value: Uint8Array;
}

/** How values travel: each SMBIOS string and each fw_cfg value becomes a file of its own, so that `ps` shows no secret. */
export interface CredentialPlan {
  /** Complete SMBIOS type 11 strings. */
  readonly smbios: readonly string[];
  readonly fwCfg: readonly { readonly name: string; readonly content: Uint8Array }[];
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
 * Decides how each credential travels: by SMBIOS as long as it fits, the largest by fw_cfg otherwise.
 * @param extraStrings further SMBIOS type 11 strings, such as those for systemd-stub.
 * @throws MkimgError `credential-name`, `credentials-too-large` before anything is started, because a guest is silent
 * about a credential that it did not get.
 */
export function planCredentials(
  credentials: readonly Credential[],
  channels: CredentialChannels,
  extraStrings: readonly string[] = [],
): CredentialPlan {
  credentials.forEach(checkName);
  checkTotal(credentials);
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
    fwCfg: moved.map((credential) => ({
      name: `opt/io.systemd.credentials/${credential.name}`,
      content: credential.value,
    })),
  };
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
