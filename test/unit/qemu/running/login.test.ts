import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../../src/base/brand.ts';
import { hostPath } from '../../../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import { authorizedKey, loginCredentials, prepareLogin } from '../../../../src/qemu/running/login.ts';

let directory: TemporaryDirectory;
let registry: HostPath;
const nothing = { SshKey: undefined, SshCertificate: undefined };

beforeEach(async () => {
  directory = await temporaryDirectory('/tmp', 'mkimg-login-test-');
  registry = hostPath(join(directory.path, 'registry'));
});
afterEach(() => directory[Symbol.asyncDispose]());

function run(program: string, argv: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, argv, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stdout.trim();
}

/** What ssh-keygen takes the public part of a private key for. */
function opensshOf(key: string): string {
  return run('ssh-keygen', ['-y', '-f', key]).split(' ').slice(0, 2).join(' ');
}

function keyFile(kind: readonly string[]): HostPath {
  const file = hostPath(join(directory.path, 'key'));
  run('ssh-keygen', ['-q', '-m', 'PEM', '-N', '', '-f', file, ...kind]);
  return file;
}

describe('a key for one machine', () => {
  it('is one that ssh can use, for this user alone, and goes with the machine', async () => {
    {
      await using login = await prepareLogin(nothing, registry);
      expect((await stat(login.key)).mode & 0o777).toBe(0o600);
      expect(login.authorized).toEqual([opensshOf(login.key)]);
    }
    expect(await readdir(registry)).toEqual([]);
  });

  it('is not made where the user has one', async () => {
    const SshKey = keyFile(['-t', 'rsa', '-b', '2048']);
    await using login = await prepareLogin({ ...nothing, SshKey }, registry);
    expect(login).toMatchObject({ key: SshKey, authorized: [opensshOf(SshKey)] });
  });

  it('takes what a certificate says', async () => {
    const [SshKey, SshCertificate] = ['k.pem', 'c.pem'].map((name) => hostPath(join(directory.path, name)));
    const request = ['req', '-new', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=mkimg'];
    run('openssl', [...request, '-keyout', SshKey ?? '', '-out', SshCertificate ?? '']);
    await using login = await prepareLogin({ SshKey, SshCertificate }, registry);
    expect(login.authorized).toEqual([opensshOf(SshKey ?? '')]);
  });

  it.each(['SshKey', 'SshCertificate'])('is refused where %s is something else', async (setting) => {
    const file = hostPath(join(directory.path, 'no-key'));
    await writeFile(file, '-----BEGIN NONSENSE-----\n');
    await expect(prepareLogin({ ...nothing, [setting]: file }, registry)).rejects.toMatchObject({
      code: 'ssh-key',
      message: expect.stringContaining(file) as string,
    });
  });
});

describe('a line of authorized_keys', () => {
  it.each([
    ['rsa of 2048 bits', ['-t', 'rsa', '-b', '2048']],
    ['rsa of 3072 bits', ['-t', 'rsa', '-b', '3072']],
    ['nistp256', ['-t', 'ecdsa', '-b', '256']],
    ['nistp384', ['-t', 'ecdsa', '-b', '384']],
    ['nistp521', ['-t', 'ecdsa', '-b', '521']],
  ])('is what ssh-keygen writes: %s', (_, kind) => {
    const file = keyFile(kind);
    const key = createPublicKey(run('ssh-keygen', ['-e', '-m', 'PKCS8', '-f', `${file}.pub`]));
    expect(authorizedKey(key)).toBe(opensshOf(file));
  });

  it('has the published form for ed25519', () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const blob = Buffer.from(authorizedKey(publicKey).split(' ')[1] ?? '', 'base64');
    expect(blob.toString('latin1', 0, 19)).toBe('\0\0\0\x0bssh-ed25519\0\0\0\x20');
    expect(blob.length).toBe(51);
  });

  it('is not written for kinds that ssh has not', () => {
    const { publicKey } = generateKeyPairSync('x25519');
    expect(() => authorizedKey(publicKey)).toThrow('X25519');
  });
});

describe('the credentials', () => {
  it('hold all keys, a line each', () => {
    const [keys] = loginCredentials(['a', 'b']);
    expect([keys?.name, String(keys?.value)]).toEqual(['ssh.authorized_keys.root', 'a\nb\n']);
  });

  it('fit into SMBIOS with room to spare', () => {
    const bytes = loginCredentials(['x'.repeat(700)]).map(({ value }) => value.length);
    expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(3000);
  });
});
