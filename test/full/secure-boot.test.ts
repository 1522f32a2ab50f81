/** Secure Boot in boot tests: what the firmware trusts, and what it makes of systems that it does not. */
import { X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { mkimg } from '../helpers/cli.ts';
import { project } from '../helpers/project.ts';

const minimal = resolve(import.meta.dirname, '../../images/minimal');

const secureBoot = `[Runtime]
Firmware=uefi-secure-boot
FirmwareVariables=custom
RAM=2G
`;

/** Whether Secure Boot is on, behind four bytes of attributes. */
const files = {
  'mkimg.conf': `[Include]\nInclude=${minimal}\n`,
  'mkimg.tests/secure.conf': `${secureBoot}
[Step]
Boot=up
[Step]
Command=od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
Matches=^ +1$
`,
};

/** The certificates in the signature of a kernel (PE: the fifth data directory; WIN_CERTIFICATE: eight bytes of header). */
async function signersOf(kernel: string): Promise<string> {
  const bytes = await readFile(kernel);
  const optionalHeader = bytes.readUInt32LE(0x3c) + 24;
  const begin = bytes.readUInt32LE(optionalHeader + 112 + 4 * 8);
  const length = bytes.readUInt32LE(begin);
  const signature = bytes.subarray(begin + 8, begin + length);
  return execFileSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], {
    input: signature,
    encoding: 'utf8',
  });
}

it('starts a kernel whose signer is trusted, and refuses boot loaders that nobody signed', async () => {
  await using directory = await project(files);
  const argv = ['-C', directory.path, '--output-directory', directory.path];
  const certificate = join(directory.path, 'signer.crt');
  // A kernel that QEMU hands to the firmware is checked as well.
  const built = await mkimg([...argv, '--format=cpio', 'build']);
  expect(built.code, built.stderr).toBe(0);
  await writeFile(certificate, await signersOf(join(directory.path, 'minimal.vmlinuz')));
  expect(new X509Certificate(await readFile(certificate)).subject).toContain('Debian');
  const trusting = [...argv, `--secure-boot-certificate=${certificate}`];
  const booted = await mkimg([...trusting, '--format=cpio', 'test']);
  expect(booted.code, booted.stdout + booted.stderr).toBe(0);

  const disk = await mkimg([...argv, 'build']);
  expect(disk.code, disk.stderr).toBe(0);
  const refused = await mkimg([...trusting, '--json', 'test']);
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stdout)).toMatchObject({
    tests: [{ verdict: { outcome: 'failed', reason: 'firmware-refused' } }],
  });
  expect((await readFile(join(directory.path, 'test-results/secure/screenshot.png'))).length).toBeGreaterThan(
    0,
  );
});
