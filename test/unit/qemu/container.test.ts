import { readFile, stat } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import type { ContainerOptions } from '../../../src/qemu/container.ts';
import { containerArgv, writeCredentialFiles } from '../../../src/qemu/container.ts';
import { textCredential } from '../../../src/qemu/credentials.ts';
import { debugfsArgv } from '../../../src/qemu/image-journal.ts';

const bare: ContainerOptions = {
  name: 'web',
  image: { directory: hostPath('/out/image') },
  boots: false,
  words: [],
  isEphemeral: false,
  network: 'user',
  shares: [],
  credentials: [],
  isRegistered: true,
  isPiped: false,
};

describe('the arguments of systemd-nspawn', () => {
  it('are few for a shell', () => {
    expect(containerArgv(bare)).toEqual([
      ...['--quiet', '--machine=web', '--directory=/out/image', '--console=interactive'],
    ]);
  });

  it('boot a disk with what the settings say', () => {
    const argv = containerArgv({
      ...bare,
      image: { disk: hostPath('/out/image.raw') },
      boots: true,
      words: ['debug'],
      isEphemeral: true,
      network: 'none',
      shares: [{ tag: 'mkimg0', source: hostPath('/a:b'), target: '/root/src' }],
      credentials: [hostPath('/tmp/x/passwd.hashed-password.root')],
      isRegistered: false,
    });
    expect(argv).toEqual([
      ...['--quiet', '--machine=web', '--image=/out/image.raw', '--boot', '--ephemeral'],
      ...['--register=no', '--keep-unit', '--private-network', '--bind=/a\\:b:/root/src'],
      '--load-credential=passwd.hashed-password.root:/tmp/x/passwd.hashed-password.root',
      ...['--', 'debug'],
    ]);
  });

  it('have an interface of their own, and pipes, where that is wished for', () => {
    const argv = containerArgv({ ...bare, network: 'interface', isPiped: true, words: ['ls', '-l'] });
    expect(argv.slice(3)).toEqual(['--network-veth', '--console=pipe', '--', 'ls', '-l']);
  });
});

it('keeps credentials of containers from others', async () => {
  await using directory = await temporaryDirectory('/tmp', 'mkimg-container-test-');
  const [file = ''] = await writeCredentialFiles([textCredential('name', 'secret')], directory.path);
  expect(file).toBe(`${directory.path}/name`);
  expect(await readFile(file, 'utf8')).toBe('secret');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

it('reads the journal of a disk where its partition begins', () => {
  expect(debugfsArgv({ offset: 1048576, path: '/log/journal' })).toEqual([
    ...['-R', 'rdump /log/journal /journal', '/image?offset=1048576'],
  ]);
});
