import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { chosenVariables, writeVariables } from '../../../src/qemu/firmware-variables.ts';
import { findFirmware } from '../../../src/qemu/firmware.ts';
import { x86_64 } from '../../../src/qemu/machines/x86-64.ts';
import type { ToolsRoot } from '../../../src/sandbox/types.ts';
import { emptyVariables } from '../../helpers/firmware-variables.ts';

const certificate = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUeGj58gNBgMJn/ubQRaOtCzlCY5MwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMzAxODM0NDRaGA8yMTI2MTEwNjE4MzQ0
NFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCRY
vwVPHQGtt7kbT2E2Wafsi21ImPXBX0iZEXEEILVkUgsAJHwntKyXrQuGqIJ/Pett
TJCvkVn7Ja8861PlZwqjUzBRMB0GA1UdDgQWBBT7pQeJk0FdlX2FtYgaOwBF73Bo
YzAfBgNVHSMEGDAWgBT7pQeJk0FdlX2FtYgaOwBF73BoYzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIDqt01GhpYicHGnDuOY6gJnc4ucasf5Zn91Y
dVoXtBwkAiEA5XvqtEbz7oCJ7+5rXz4pTIwjFRBlltER7TPe4BCy9jI=
-----END CERTIFICATE-----
`;

let directory: TemporaryDirectory;
let tools: ToolsRoot;
let file: (name: string) => HostPath;

beforeAll(async () => {
  directory = await temporaryDirectory('/tmp', 'mkimg-firmware-');
  file = (name) => hostPath(join(directory.path, name));
  tools = { kind: 'tree', path: directory.path };
  await mkdir(file('usr/share/OVMF'), { recursive: true });
  for (const name of ['CODE_4M.secboot', 'VARS_4M', 'VARS_4M.ms'])
    await writeFile(file(`usr/share/OVMF/OVMF_${name}.fd`), emptyVariables());
  await writeFile(file('mkimg.crt'), certificate);
  await writeFile(file('other'), 'other');
});
afterAll(() => directory[Symbol.asyncDispose]());

const firmware = { code: '/c', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd', secureBoot: true };
const fromFile = { type: 'file', source: '' } as const;

describe('FirmwareVariables=', () => {
  it('takes the template that trusts Microsoft where it is asked for', async () => {
    const found = await Promise.all(
      [false, true].map((hasMicrosoftKeys) =>
        findFirmware(x86_64, tools, { secureBoot: true, hasMicrosoftKeys }),
      ),
    );
    expect(found.map(({ variables }) => variables)).toEqual([
      '/usr/share/OVMF/OVMF_VARS_4M.fd',
      '/usr/share/OVMF/OVMF_VARS_4M.ms.fd',
    ]);
    await expect(findFirmware(x86_64, tools, { secureBoot: false })).rejects.toThrow('no UEFI firmware for');
  });

  it.each(['custom', 'microsoft-mok'] as const)('%s puts the certificate in', async (FirmwareVariables) => {
    const chosen = await chosenVariables(
      {
        FirmwareVariables,
        SecureBootCertificate: file('mkimg.crt'),
        SecureBootCertificateSource: fromFile,
      },
      firmware,
      tools,
    );
    const der = Buffer.from(certificate.replace(/-.*-/g, ''), 'base64');
    expect(Buffer.from(chosen ?? []).includes(der)).toBe(true);
  });

  it('takes a file as it is, and the template where nothing is said', async () => {
    const given = { SecureBootCertificate: undefined, SecureBootCertificateSource: fromFile };
    const own = await chosenVariables({ ...given, FirmwareVariables: file('other') }, firmware, tools);
    expect(String(own)).toBe('other');
    expect(
      await chosenVariables({ ...given, FirmwareVariables: undefined }, firmware, tools),
    ).toBeUndefined();
  });

  it.each([
    ['no-certificate', undefined, fromFile],
    ['no-certificate', 'pkcs11:x', { type: 'provider', source: 'pkcs11' }],
    ['bad-certificate', 'other', fromFile],
  ] as const)('says %s', async (code, name, SecureBootCertificateSource) => {
    const SecureBootCertificate = name === undefined ? undefined : file(name);
    const settings = {
      FirmwareVariables: 'custom',
      SecureBootCertificate,
      SecureBootCertificateSource,
    } as const;
    await expect(chosenVariables(settings, firmware, tools)).rejects.toMatchObject({ code });
  });
});

describe('the file of the variables', () => {
  it('is there when they are chosen or kept, and is not begun again', async () => {
    const run = hostPath(directory.path);
    expect(await writeVariables({ firmware }, tools, run)).toBeUndefined();
    expect(await writeVariables({ firmwareState: file('kept') }, tools, run)).toBeUndefined();
    const request = { firmware, firmwareState: file('kept') };
    expect(await writeVariables(request, tools, run)).toBe(file('kept'));
    expect((await readFile(file('kept'))).equals(emptyVariables())).toBe(true);
    await writeFile(file('kept'), 'changed');
    await writeVariables({ ...request, firmwareVariables: Buffer.from('x') }, tools, run);
    expect(await readFile(file('kept'), 'utf8')).toBe('changed');
    await writeVariables({ firmware, firmwareVariables: Buffer.from('chosen') }, tools, run);
    expect(await readFile(file('variables'), 'utf8')).toBe('chosen');
  });
});
