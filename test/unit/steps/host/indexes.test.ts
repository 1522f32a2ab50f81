import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../../src/base/brand.ts';
import { hostPath } from '../../../../src/base/brand.ts';
import { baseUris, indexedFiles, listName, stanzasOf } from '../../../../src/steps/host/indexes.ts';
import { parseDiversions, parseOverrides } from '../../../../src/steps/host/database.ts';

const digest = 'a'.repeat(64);
const stanza = (name: string, version: string) =>
  `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\nFilename: pool/${name}.deb\nSize: 5\nSHA256: ${digest}\n`;
const index = `${stanza('bash', '1')}\n${stanza('bash', '2')}\n${stanza('bash-doc', '1')}`;

let lists: HostPath;
beforeAll(async () => {
  lists = hostPath(await mkdtemp(join(tmpdir(), 'mkimg-lists-')));
  await writeFile(join(lists, 'mirror.example_debian_dists_trixie_main_binary-amd64_Packages'), index);
  await writeFile(join(lists, 'lock'), '');
});
afterAll(() => rm(lists, { recursive: true }));

describe('indexedFiles', () => {
  const repository = { uris: ['https://mirror.example/debian/'], suites: ['trixie'] };
  const bash = { name: 'bash', version: '1', architecture: 'amd64' };

  it('finds exact versions with their addresses', async () => {
    const found = await indexedFiles(lists, [bash, { ...bash, version: '3' }], [repository]);
    expect([...found]).toEqual([
      ['bash_1_amd64', { sha256: digest, size: 5, urls: ['https://mirror.example/debian/pool/bash.deb'] }],
    ]);
  });

  it('knows the digest without the address where the repository is none of the image', async () => {
    const found = await indexedFiles(lists, [bash], [{ ...repository, suites: ['sid'] }]);
    expect(found.get('bash_1_amd64')?.urls).toEqual([]);
  });

  it('finds nothing where there are no lists', async () => {
    expect((await indexedFiles(hostPath(join(lists, 'absent')), [bash], [repository])).size).toBe(0);
  });
});

describe('names of lists', () => {
  it('are those of apt', () => {
    expect(listName('http://user:pass@mirror.example:8080/a_b/~c/')).toBe('mirror.example:8080_a%5fb_%7ec_');
    expect(listName('file:///srv/debian/')).toBe('_srv_debian_');
  });

  it('tell flat repositories and similar suites apart', () => {
    const flat = { uris: ['http://x.example/r'], suites: ['./'] };
    expect(baseUris('x.example_r_Packages', [flat])).toEqual(['http://x.example/r']);
    const suite = { uris: ['http://x.example/r'], suites: ['trixie'] };
    expect(baseUris('x.example_r_dists_trixie-updates_main_binary-amd64_Packages', [suite])).toEqual([]);
  });
});

describe('stanzasOf', () => {
  it('takes whole names only', () => {
    expect(stanzasOf(Buffer.from(index), new Set(['bash']))).toHaveLength(2);
    expect(stanzasOf(Buffer.from(''), new Set(['bash']))).toEqual([]);
  });
});

describe("dpkg's database", () => {
  it('tells diversions', () => {
    const text = '/bin/sh\n/bin/sh.distrib\ndash\n/etc/x\n/etc/x.local\n:\nrubbish\n';
    expect([...parseDiversions(text)]).toEqual([
      ['bin/sh', { to: 'bin/sh.distrib', by: 'dash' }],
      ['etc/x', { to: 'etc/x.local', by: undefined }],
    ]);
  });

  it('tells overrides', () => {
    expect([...parseOverrides('root messagebus 4754 /usr/lib/dbus helper\nbad\n')]).toEqual([
      'usr/lib/dbus helper',
    ]);
  });
});
