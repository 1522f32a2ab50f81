import { describe, expect, it } from 'vitest';
import type { Project } from '../../../src/config/project.ts';
import { projectJson } from '../../../src/config/project-json.ts';
import { loadProject } from '../../../src/config/project.ts';
import type { HostFacts } from '../../../src/config/setting.ts';
import { memoryProject } from '../../helpers/memory-files.ts';

// What mkosi 27 makes of the same files, seen by running it.

type Files = Readonly<Record<string, string>>;
type Flags = Parameters<typeof memoryProject>[1];
type Request = Parameters<typeof loadProject>[0];

async function load(files: Files, flags: Flags = {}, more: Partial<Request> = {}): Promise<Project> {
  const loaded = await loadProject({ ...memoryProject(files, flags), ...more });
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  return loaded.value;
}

describe('the system of the host', () => {
  const files = { 'mkosi.conf': '[Build]\nToolsTree=default\n' };

  async function systems(host: Omit<HostFacts, 'architecture'>, environment = {}): Promise<string> {
    const more = { host: { architecture: 'x86-64', ...host } as const, environment };
    const { main, tools } = await load(files, {}, more);
    return [main, tools]
      .map((image) => `${image?.config.Distribution ?? ''} ${image?.config.Release ?? ''}`)
      .join(', ');
  }

  const hosts = {
    'Debian 12': { distribution: 'debian', codename: 'bookworm', version: '12' },
    'Fedora 42': { distribution: 'fedora', codename: '', version: '42' },
    'Ubuntu 24.04': { distribution: 'ubuntu', like: ['debian'], codename: 'noble' },
    'CentOS 10': { distribution: 'centos', codename: undefined, version: '10' },
    Tumbleweed: { distribution: 'opensuse-tumbleweed', codename: undefined, version: '20260101' },
    Arch: { distribution: 'arch', codename: undefined },
    'a relative of Arch': { distribution: 'manjaro', like: ['arch'], codename: undefined },
  } as const;

  it.each([
    ['Debian 12', 'debian bookworm, debian testing'],
    ['Fedora 42', 'fedora 42, fedora rawhide'],
    ['Ubuntu 24.04', 'ubuntu noble, debian testing'],
    ['CentOS 10', 'centos 10, fedora rawhide'],
    ['Tumbleweed', 'opensuse tumbleweed, opensuse tumbleweed'],
    ['Arch', 'arch rolling, arch rolling'],
    ['a relative of Arch', 'arch rolling, arch rolling'],
  ] as const)('%s decides distribution and release', async (name, found) => {
    expect(await systems(hosts[name])).toBe(found);
  });

  it('is what MKOSI_HOST_DISTRIBUTION and MKOSI_HOST_RELEASE say', async () => {
    const host = { distribution: 'debian', codename: 'bookworm' } as const;
    const environment = { MKOSI_HOST_DISTRIBUTION: 'fedora', MKOSI_HOST_RELEASE: '41' };
    expect(await systems(host, environment)).toBe('fedora 41, fedora rawhide');
    expect(await systems(host, { MKOSI_HOST_DISTRIBUTION: 'fedora' })).toBe('fedora rawhide, fedora rawhide');
  });

  it('is Debian where it is not known', async () => {
    const host = { distribution: 'haiku', codename: undefined } as const;
    expect(await systems(host)).toBe('debian testing, debian testing');
  });
});

async function json(files: Files, flags: Flags = {}): Promise<Readonly<Record<string, unknown>>> {
  const { Images } = projectJson(await load(files, flags), { revealSecrets: true });
  return Images.at(-1) ?? {};
}

async function faults(files: Files): Promise<readonly string[]> {
  const loaded = await loadProject(memoryProject(files));
  return (loaded.ok ? loaded.warnings : loaded.diagnostics).map(({ code }) => code);
}

describe('the directory of builds', () => {
  it.each([
    ['', '/project/bd/debian~bookworm~x86-64'],
    ['BuildKey=&d&&&a~&i~&v~&I~&x!', '/project/bd/debian&x86-64~egret~2~main~!'],
    ['BuildKey=-', '/project/bd'],
  ])('is below BuildDirectory= as BuildKey= says: %s', async (key, directory) => {
    const text = `[Output]\nImageId=egret\nImageVersion=2\n[Build]\nBuildDirectory=bd\n${key}\n`;
    expect((await json({ 'mkosi.conf': text }))['BuildSubdirectory']).toBe(directory);
  });

  it('is not there without BuildDirectory=', async () => {
    expect(await json({ 'mkosi.conf': '' })).not.toHaveProperty('BuildSubdirectory');
  });
});

describe('values', () => {
  it.each([
    ['1 G', 2 ** 30],
    ['1e3', 4096],
    ['1e3 K', 1024 * 1000],
    ['+5M', 5 * 2 ** 20],
    ['2.', 4096],
  ])('OutputSize=%s', async (text, size) => {
    expect((await json({ 'mkosi.conf': `[Output]\nOutputSize=${text}\n` }))['OutputSize']).toBe(size);
  });

  it.each(['1g', '-1', '0', 'inf', '1 2G', '1GG', 'e3'])('OutputSize=%s is a fault', async (text) => {
    expect(await faults({ 'mkosi.conf': `[Output]\nOutputSize=${text}\n` })).toEqual(['bad-value']);
  });

  it.each(['{6f2fd34c-55ba-4c1d-9bd5-7a4eb1a4e4f6}', 'urn:uuid:6f2fd34c-55ba-4c1d-9bd5-7a4eb1a4e4f6'])(
    'Seed=%s',
    async (text) => {
      const { Seed } = await json({ 'mkosi.conf': `[Output]\nSeed=${text}\n` });
      expect(Seed).toBe('6f2fd34c-55ba-4c1d-9bd5-7a4eb1a4e4f6');
    },
  );

  it('SectorSize= may have zeros before it', async () => {
    expect((await json({ 'mkosi.conf': '[Output]\nSectorSize=0512\n' }))['SectorSize']).toBe(512);
  });

  it('SplitArtifacts=yes takes the place of what stands before it', async () => {
    const text = '[Output]\nSplitArtifacts=tar\nSplitArtifacts=yes\nSplitArtifacts=pcrs\n';
    const { SplitArtifacts: artifacts } = await json({ 'mkosi.conf': text });
    expect(artifacts).toEqual(['uki', 'kernel', 'initrd', 'partitions', 'pcrs']);
  });

  it('MinimumVersion= stays the highest one, empty lines or not', async () => {
    const text = '[Config]\nMinimumVersion=25\nMinimumVersion=\nMinimumVersion=24\n';
    expect((await json({ 'mkosi.conf': text }))['MinimumVersion']).toBe('25');
  });

  it('MinimumVersion=commit:HASH is taken with a warning', async () => {
    const files = { 'mkosi.conf': '[Config]\nMinimumVersion=commit:abc\n' };
    expect([(await json(files))['MinimumVersion'], await faults(files)]).toEqual([
      'commit:abc',
      ['uncompared-version'],
    ]);
  });

  it('an empty assignment takes the default of optional settings away as well', async () => {
    const names = ['ProxyUrl', 'ProxyPeerCertificate', 'SourceDateEpoch', 'Machine'] as const;
    const sections = `[Build]\nProxyUrl=\nProxyPeerCertificate=\n[Content]\nSourceDateEpoch=\n[Runtime]\nMachine=\n`;
    const environment = { http_proxy: 'http://proxy', SOURCE_DATE_EPOCH: '7' };
    const { main } = await load({ 'mkosi.conf': sections }, {}, { environment });
    expect(names.map((name) => main.config[name])).toEqual([undefined, undefined, undefined, undefined]);
    const { main: usual } = await load({ 'mkosi.conf': '' }, {}, { environment });
    expect([usual.config.ProxyUrl, usual.config.SourceDateEpoch]).toEqual(['http://proxy', 7]);
    const again = await load({ 'mkosi.conf': sections }, { Machine: 'other' }, { environment });
    expect(again.main.config.Machine).toBe('other');
  });
});

describe('trees', () => {
  const d = { 'd/x': '' };

  it('have a target of their own where one is written, the root included', async () => {
    const text = '[Build]\nBuildSources=d: d:. d:/ d:t d\n[Content]\nExtraTrees=d:/ d\n';
    const { BuildSources: sources, ExtraTrees: trees } = await json({ 'mkosi.conf': text, ...d });
    const targets = (value: unknown): unknown => (value as { Target: unknown }[]).map(({ Target }) => Target);
    expect(targets(sources)).toEqual(['.', '.', '/', 't', null]);
    expect(targets(trees)).toEqual(['/', null]);
  });

  it('have variables in their targets', async () => {
    const more = { environment: { PLACE: 'srv' } };
    const { main } = await load({ 'mkosi.conf': '[Content]\nExtraTrees=d:/$PLACE/a\n', ...d }, {}, more);
    expect(main.config.ExtraTrees).toEqual([{ source: '/project/d', target: 'srv/a' }]);
  });

  it.each([
    ['k', true],
    ['/k', true],
    ['m', false],
    ['/m', false],
    ['', true],
    ['.', true],
    ['d', false],
  ])('match BuildSources=%s by targets that are no absolute paths', async (condition, holds) => {
    const { main } = await load({
      'mkosi.conf': '[Build]\nBuildSources=d:k d:/m d:\n',
      'mkosi.conf.d/a.conf': `[Match]\nBuildSources=${condition}\n[Content]\nKeymap=yes\n`,
      ...d,
    });
    expect(main.config.Keymap === 'yes').toBe(holds);
  });

  it('of build sources are directories', async () => {
    const files = { 'mkosi.conf': '[Build]\nBuildSources=f\n', f: '' };
    expect(await faults(files)).toEqual(['bad-value']);
  });
});

describe('local configuration', () => {
  const files = {
    'mkosi.conf': '[Content]\nPackages=m\nKeymap=main\n',
    'mkosi.local.conf': '[Content]\nPackages=z b\nKeymap=file\nLocale=file\n',
    'mkosi.local/mkosi.conf': '[Content]\nPackages=y a\nKeymap=directory\n',
  };

  it('of the directory stands after, and above, that of the file', async () => {
    const { main } = await load(files, { Packages: 'c' });
    expect(main.config.Packages).toEqual(['m', 'b', 'z', 'a', 'y', 'c']);
    expect([main.config.Keymap, main.config.Locale]).toEqual(['directory', 'file']);
  });
});

describe('conditions', () => {
  it.each(['HostArchitecture=foo', 'Profiles=a/b'])('%s is a fault', async (condition) => {
    expect(await faults({ 'mkosi.conf': `[Match]\n${condition}\n` })).toEqual(['bad-value']);
  });

  it('PathExists= takes $ and ~ as they are', async () => {
    const more = { environment: { HOME: '/project' } };
    const files = {
      'mkosi.conf': '',
      'mkosi.conf.d/a.conf': '[Match]\nPathExists=$HOME\n[Content]\nKeymap=x\n',
    };
    expect((await load(files, {}, more)).main.config.Keymap).toBeUndefined();
  });
});

describe('names of files', () => {
  it('.conf alone is no drop-in', async () => {
    const files = { 'mkosi.conf': '', 'mkosi.conf.d/.conf': '[Content]\nKeymap=x\n' };
    expect((await load(files)).main.config.Keymap).toBeUndefined();
  });

  it('of programs that are not executable are faults where a value is expected', async () => {
    const files = { 'mkosi.conf': '', 'mkosi.version': '#!/bin/sh\necho 1\n' };
    expect(await faults(files)).toEqual(['executable-value']);
  });

  it('in mkosi/: images that are one file count paths from the directory above', async () => {
    const project = await load({
      'mkosi/mkosi.conf': '[Build]\nEnvironment=P=%P\n',
      'mkosi/mkosi.images/a.conf': '[Build]\nEnvironment=P=%P\n[Content]\nExtraTrees=t\n',
      'mkosi/mkosi.images/b/mkosi.conf': '[Build]\nEnvironment=P=%P\n',
    });
    expect(project.images.map(({ name, config }) => [name, config.Environment['P']])).toEqual([
      ['a', '/project'],
      ['b', '/project/mkosi/mkosi.images/b'],
      ['main', '/project/mkosi'],
    ]);
    expect(project.images[0]?.config.ExtraTrees).toEqual([{ source: '/project/t', target: '' }]);
  });
});

describe('a directory that is not to be read', () => {
  it('leaves what the command line says', async () => {
    const files = {
      'mkosi.conf': '[Content]\nPackages=a\n',
      'mkosi.images/i.conf': '',
      'mkosi.tools.conf': '[Content]\nPackages=t\n',
    };
    const flags = { Packages: 'x', ToolsTree: 'default' };
    const { main, images, tools } = await load(files, flags, { readsDirectory: false });
    expect(images.map(({ name }) => name)).toEqual(['main']);
    expect([main.config.Packages, main.config.BuildSources, main.config.Machine]).toEqual([
      ['x'],
      [],
      undefined,
    ]);
    expect(tools?.config.Packages).not.toContain('t');
  });
});

describe('images of a project', () => {
  it('have an empty list where the main image has none', async () => {
    const { images } = await load({ 'mkosi.conf': '', 'mkosi.images/a.conf': '' });
    expect(images.map(({ config }) => config.ProxyExclude)).toEqual([[], undefined]);
  });
});
