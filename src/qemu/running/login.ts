import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import type { ImageConfig } from '../../config/project.ts';
import type { Credential } from '../credentials.ts';
import { textCredential } from '../credentials.ts';
import { openRegistry } from './registry.ts';

/** A key to log in to a machine with, and what the machine is told of it. A key that was made for this vanishes with the scope. */
export interface Login extends AsyncDisposable {
  readonly key: HostPath;
  /** Lines of authorized_keys. */
  readonly authorized: readonly string[];
}

/**
 * `SshKey=` and `SshCertificate=`; where there is no key of the user's, one that is made now and kept beside the list of
 * running machines.
 * @throws MkimgError `ssh-key` for what is not a key or a certificate, or of a kind that ssh has not
 */
export async function prepareLogin(
  { SshKey, SshCertificate }: Pick<ImageConfig, 'SshKey' | 'SshCertificate'>,
  registry: HostPath,
): Promise<Login> {
  const certified = SshCertificate === undefined ? [] : [await certifiedKey(SshCertificate)];
  if (SshKey !== undefined) {
    const authorized = certified.length > 0 ? certified : [await publicPart(SshKey)];
    return { key: SshKey, authorized, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  await openRegistry(registry);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = hostPath(join(registry, `${process.pid}.key`));
  // Not SEC 1, which Node writes as well: ssh before 9.6 reads PKCS #8 for this kind of key, too.
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return {
    key,
    authorized: [...certified, authorizedKey(publicKey)],
    [Symbol.asyncDispose]: () => rm(key, { force: true }),
  };
}

async function certifiedKey(file: HostPath): Promise<string> {
  try {
    return authorizedKey(new X509Certificate(await readFile(file)).publicKey);
  } catch (cause) {
    throw keyFault(file, 'a certificate (X.509, PEM) whose key ssh can use', cause);
  }
}

async function publicPart(file: HostPath): Promise<string> {
  try {
    return authorizedKey(createPublicKey(createPrivateKey(await readFile(file))));
  } catch (cause) {
    throw keyFault(file, 'a private key in PEM without a passphrase', cause);
  }
}

function keyFault(file: HostPath, wanted: string, cause: unknown): MkimgError {
  return new MkimgError('ssh-key', `${file} is not ${wanted}`, {
    hint: 'Make both with: openssl req -new -x509 -newkey rsa:3072 -nodes -keyout mkimg.key -out mkimg.crt -subj /CN=mkimg',
    class: 'usage',
    cause,
  });
}

/** A public key as a line of authorized_keys (RFC 4253, 5656 and 8709). @throws Error for kinds that ssh has not */
export function authorizedKey(key: KeyObject): string {
  const { kty, crv, n, e, x, y } = key.export({ format: 'jwk' });
  const bytes = (value: string | undefined): Buffer => Buffer.from(value ?? '', 'base64url');
  if (kty === 'RSA') return keyLine('ssh-rsa', [integer(bytes(e)), integer(bytes(n))]);
  if (kty === 'OKP' && crv === 'Ed25519') return keyLine('ssh-ed25519', [bytes(x)]);
  const curve = kty === 'EC' ? curves.get(crv ?? '') : undefined;
  if (curve === undefined) throw new Error(`a key of the kind ${kty ?? ''} ${crv ?? ''}`);
  // 4: both coordinates follow.
  const point = Buffer.concat([Buffer.from([4]), bytes(x), bytes(y)]);
  return keyLine(`ecdsa-sha2-${curve}`, [Buffer.from(curve), point]);
}

const curves = new Map([
  ['P-256', 'nistp256'],
  ['P-384', 'nistp384'],
  ['P-521', 'nistp521'],
]);

function keyLine(kind: string, parts: readonly Buffer[]): string {
  const fields = [Buffer.from(kind), ...parts].flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  });
  return `${kind} ${Buffer.concat(fields).toString('base64')}`;
}

/** Numbers are signed there: one whose first bit is set begins with a zero byte. */
function integer(magnitude: Buffer): Buffer {
  return (magnitude[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), magnitude]) : magnitude;
}

/** Makes keys of the guest's own where it has none: Debian makes them only when the package is installed. */
const hostKeysUnit = `[Unit]
Description=Keys of this machine for ssh
DefaultDependencies=no
ConditionPathExists=!/etc/initrd-release
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key
ConditionFileIsExecutable=/usr/bin/ssh-keygen
ConditionPathIsReadWrite=/etc/ssh
After=systemd-remount-fs.service systemd-tmpfiles-setup.service
Before=ssh.service sshd.service ssh.socket sshd.socket sockets.target
Conflicts=shutdown.target
Before=shutdown.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A
`;

const hostKeysName = 'mkimg-ssh-keys.service';

/** A network for guests whose own configuration has nothing for the card. */
const fallbackNetwork = '[Match]\nType=ether\nKind=!*\n[Network]\nDHCP=yes\n';

/**
 * What lets somebody log in: the keys, keys of the guest's own, and an address by DHCP, as far as the guest's systemd (256)
 * knows these credentials.
 */
export function loginCredentials(authorized: readonly string[]): readonly Credential[] {
  return [
    textCredential('ssh.authorized_keys.root', `${authorized.join('\n')}\n`),
    textCredential(`systemd.extra-unit.${hostKeysName}`, hostKeysUnit),
    textCredential('systemd.unit-dropin.sysinit.target~mkimg-ssh', `[Unit]\nWants=${hostKeysName}\n`),
    // The last one by its name: any other that fits comes first.
    textCredential('network.network.zz-mkimg', fallbackNetwork),
  ].map((credential) => ({ ...credential, isOptional: true }));
}
