import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import type { Origin } from '../../../src/base/diagnostic.ts';
import type { Project, ResolvedImage } from '../../../src/config/project.ts';
import { loadBuiltinImage, loadProject } from '../../../src/config/project.ts';
import { imageJson, missingInputs } from '../../../src/config/resolved-image.ts';
import { memoryFiles, memoryProject } from '../../helpers/memory-files.ts';

type Files = Readonly<Record<string, string>>;
type Flags = Parameters<typeof memoryProject>[1];

async function load(files: Files, flags: Flags = {}): Promise<Project> {
  const loaded = await loadProject(memoryProject(files, flags));
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  return loaded.value;
}

async function image(files: Files, flags: Flags = {}): Promise<ResolvedImage> {
  return (await load(files, flags)).main;
}

async function codes(files: Files, flags: Flags = {}): Promise<readonly string[]> {
  const loaded = await loadProject(memoryProject(files, flags));
  return (loaded.ok ? loaded.warnings : loaded.diagnostics).map(
    ({ severity, code }) => `${severity}: ${code}`,
  );
}

/** Paths of RemoveFiles=, which the tests use as markers of what was read. */
async function marks(files: Files, flags: Flags = {}): Promise<readonly string[]> {
  return (await image(files, flags)).config.RemoveFiles;
}

const mark = (name: string): string => `[Content]\nRemoveFiles=${name}\n`;

function line(origin: Origin): string {
  return origin.kind === 'file'
    ? `${origin.span.file}:${origin.span.line}:${origin.span.column}`
    : origin.kind;
}

describe('layers', () => {
  it('are read in the order main file, drop-ins by name, profiles', async () => {
    const files = {
      'mkimg.conf': `[Config]\nProfiles=web db\n${mark('/0')}Hostname=zero\n`,
      'mkimg.conf.d/30.conf': mark('/30'),
      'mkimg.conf.d/10.conf': `${mark('/10')}Hostname=ten\n`,
      'mkimg.conf.d/20/mkimg.conf': mark('/20'),
      'mkimg.conf.d/20/mkimg.conf.d/x.conf': mark('/20x'),
      'mkimg.conf.d/15.txt': mark('/txt'),
      'mkimg.profiles/web.conf': mark('/web'),
      'mkimg.profiles/db.conf': mark('/db-file'),
      'mkimg.profiles/db/mkimg.conf': `${mark('/db')}Hostname=db\n`,
      'mkimg.profiles/off.conf': mark('/off'),
    };
    const { config } = await image(files);
    expect(config.RemoveFiles).toEqual(['/0', '/10', '/20', '/20x', '/30', '/web', '/db', '/db-file']);
    expect(config.Hostname).toBe('db');
  });

  it('give way to local files, and those to the command line', async () => {
    const files = {
      'mkimg.conf': `${mark('/main')}Hostname=main\nKeymap=main\nTimezone=main\n`,
      'mkimg.local.conf': `${mark('/local')}Hostname=local\nKeymap=local\n`,
      'mkimg.conf.d/z.conf': `${mark('/dropin')}Hostname=late\n`,
    };
    const { config } = await image(files, { Hostname: 'flag', RemoveFiles: '/flag' });
    expect([config.Hostname, config.Keymap, config.Timezone]).toEqual(['flag', 'local', 'main']);
    expect(config.RemoveFiles).toEqual(['/main', '/dropin', '/local', '/flag']);
  });

  it('reset with empty assignments', async () => {
    const files = {
      'mkimg.conf':
        '[Output]\nFormat=tar\nImageId=x\nSplitArtifacts=\n[Content]\nPackages=a b\nPackages=\nPackages=c\n',
    };
    const fromFiles = (await image(files)).config;
    expect([fromFiles.Packages, fromFiles.SplitArtifacts, fromFiles.Format]).toEqual([['c'], [], 'tar']);
    const { config } = await image(files, [
      ['Packages', 'd'],
      ['Packages', ''],
      ['Packages', 'e'],
      ['Format', ''],
      ['ImageId', ''],
    ]);
    expect([config.Packages, config.Format, config.ImageId]).toEqual([['e'], 'disk', undefined]);
  });

  it('sort packages within the files and within the command line', async () => {
    const { config } = await image({ 'mkimg.conf': '[Content]\nPackages=zsh acl\n' }, [
      ['Packages', 'nano'],
      ['Packages', 'bash'],
    ]);
    expect(config.Packages).toEqual(['acl', 'zsh', 'bash', 'nano']);
  });

  it('add profiles of the command line to those of the files', async () => {
    const files = {
      'mkimg.conf': '[Config]\nProfiles=base\n',
      'mkimg.profiles/base.conf': mark('/base'),
      'mkimg.profiles/c.conf': mark('/c'),
    };
    expect(await marks(files, { Profiles: 'c' })).toEqual(['/base', '/c']);
  });
});

describe('Include=', () => {
  it('takes effect where it stands, once', async () => {
    const files = {
      'mkimg.conf': `${mark('/1')}[Include]\nInclude=shared/x.conf\n${mark('/3')}[Config]\nInclude=shared/x.conf\n`,
      'shared/x.conf': mark('/2'),
    };
    expect(await marks(files)).toEqual(['/1', '/2', '/3']);
  });

  it('reads a directory with its drop-ins, files and profiles, and with its own relative paths', async () => {
    const { config } = await image({
      'mkimg.conf': '[Config]\nProfiles=blue\n[Include]\nInclude=common\n',
      'common/mkimg.conf': '[Content]\nPackages=acl\nExtraTrees=etc:/etc\n',
      'common/mkimg.conf.d/a.conf': '[Content]\nPackages=attr\n',
      'common/mkimg.profiles/blue.conf': '[Content]\nPackages=blue\n',
      'common/mkimg.extra/': '',
    });
    expect(config.Packages).toEqual(['acl', 'attr', 'blue']);
    expect(config.ExtraTrees).toEqual([
      { source: '/project/common/mkimg.extra', target: '' },
      { source: '/project/common/etc', target: 'etc' },
    ]);
  });

  it('comes before the files when it stands on the command line', async () => {
    const files = { 'mkimg.conf': mark('/main'), 'more.conf': mark('/more') };
    expect(await marks(files, { Include: 'more.conf' })).toEqual(['/more', '/main']);
  });
});

describe('names', () => {
  it('mkosi. counts where a directory has no mkimg. file', async () => {
    const files = { 'mkosi.conf': mark('/mkosi'), 'mkosi.conf.d/a.conf': mark('/a'), 'mkosi.extra/': '' };
    const { config } = await image(files);
    expect(config.RemoveFiles).toEqual(['/mkosi', '/a']);
    expect(config.ExtraTrees).toHaveLength(1);
    expect(await marks({ ...files, 'mkimg.conf': mark('/mkimg') })).toEqual(['/mkimg']);
  });

  it('mkosi. makes unknown settings remarks; unknown sections are faults anyhow', async () => {
    const text = '[Content]\nWingspan=180\nHostname=x\n';
    expect(await codes({ 'mkosi.conf': text })).toEqual(['warning: unknown-setting']);
    expect(await codes({ 'mkimg.conf': text })).toEqual(['error: unknown-setting']);
    expect(await codes({ 'mkosi.conf': '[Contents]\nHostname=x\n' })).toEqual(['error: unknown-section']);
  });

  it('set values by files', async () => {
    const main = await image({
      'mkimg.conf': '[Content]\nPostInstallationScripts=late.sh\nSkeletonTrees=more\n',
      'late.sh': '#!/bin/sh',
      'more/': '',
      'mkimg.skeleton/': '',
      'mkimg.skeleton.tar': '',
      'mkimg.postinst': '#!/bin/sh',
      'mkimg.postinst.chroot': '#!/bin/sh',
      'mkimg.postinst.d/20.sh': '#!/bin/sh',
      'mkimg.postinst.d/10.sh.chroot': '#!/bin/sh',
      'mkimg.version': '7.1\n',
      'mkimg.rootpw': 'hashed:$6$x\n',
      'mkimg.output/': '',
      'mkimg.cache/': '',
      'mkimg.builddir/': '',
      'mkimg.repart/10.conf': '',
      'mkimg.credentials/a.b': '1',
      'mkimg.env': 'A=1\n# no\nB="two words"\n',
    });
    const { config } = main;
    expect(config.SkeletonTrees.map(({ source }) => source)).toEqual([
      '/project/mkimg.skeleton',
      '/project/mkimg.skeleton.tar',
      '/project/more',
    ]);
    expect(config.PostInstallationScripts).toEqual([
      '/project/mkimg.postinst',
      '/project/mkimg.postinst.chroot',
      '/project/mkimg.postinst.d/10.sh.chroot',
      '/project/mkimg.postinst.d/20.sh',
      '/project/late.sh',
    ]);
    expect([config.ImageVersion, config.Output]).toEqual(['7.1', 'image_7.1']);
    expect(config.RootPassword).toEqual({ hashed: true, value: '$6$x' });
    expect(config.OutputDirectory).toBe('/project/mkimg.output');
    expect(config.CacheDirectory).toBe('/project/mkimg.cache');
    expect(config.BuildDirectory).toBe('/project/mkimg.builddir');
    expect(config.RepartDirectories).toEqual(['/project/mkimg.repart']);
    expect(config.Credentials).toEqual([{ name: 'a.b', file: '/project/mkimg.credentials/a.b' }]);
    expect(main.originOf('ImageVersion')).toEqual({ kind: 'path', path: '/project/mkimg.version' });
  });

  it('keep blanks in the path of the project', async () => {
    const request = memoryProject({});
    const files = memoryFiles({ 'mkimg.extra/': '', 'mkimg.build': '#!' }, '/my project');
    const loaded = await loadProject({ ...request, directory: hostPath('/my project'), files });
    expect(loaded.ok && loaded.value.main.config.ExtraTrees).toEqual([
      { source: '/my project/mkimg.extra', target: '' },
    ]);
    expect(loaded.ok && loaded.value.main.config.BuildScripts).toEqual(['/my project/mkimg.build']);
  });

  it('are found in mkimg/ where the directory itself has no configuration', async () => {
    const project = await load({ README: '', 'mkimg/mkimg.conf': mark('/x') });
    expect(project.directory).toBe('/project/mkimg');
  });
});

describe('[Match]', () => {
  const main =
    '[Config]\nProfiles=lab field\n[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\nImageId=egret-desktop\nImageVersion=1.10\n[Content]\nBootable=no\n[Build]\nEnvironment=STAGE=test\nBuildSources=src:kernel\n';
  const project = (conditions: string): Files => ({
    'mkimg.conf': main,
    'mkimg.conf.d/x.conf': `${conditions}\n${mark('/x')}`,
    'src/': '',
  });

  it.each([
    ['[Match]\nDistribution=debian', true],
    ['[Match]\nDistribution=fedora', false],
    ['[Match]\nDistribution=!fedora', true],
    ['[Match]\nRelease=trixie\nFormat=tar', true],
    ['[Match]\nRelease=trixie\nFormat=disk', false],
    ['[Match]\nFormat=|disk\nRelease=|trixie', true],
    ['[Match]\nFormat=|disk\nRelease=|!trixie', false],
    ['[Match]\nArchitecture=x86-64\nFormat=|disk\nFormat=|cpio', false],
    ['[Match]\nFormat=|tar\n[Match]\nArchitecture=arm64', false],
    ['[TriggerMatch]\nFormat=disk\n[TriggerMatch]\nRelease=trixie', true],
    ['[TriggerMatch]\nFormat=disk\n[Match]\nRelease=trixie', false],
    ['[Match]\nArchitecture=uefi', true],
    ['[Match]\nHostArchitecture=!arm64', true],
    ['[Match]\nImage=main', true],
    ['[Match]\nProfiles=lab\nProfiles=field', true],
    ['[Match]\nProfiles=', false],
    ['[Match]\nProfiles=!office', true],
    ['[Match]\nBootable=no', true],
    ['[Match]\nBootable=auto', false],
    ['[Match]\nImageId=egret-[cd]eskto?', true],
    ['[Match]\nImageId=EGRET-*', false],
    ['[Match]\nImageVersion=>1.9', true],
    ['[Match]\nImageVersion=<=1.10~rc1', false],
    ['[Match]\nEnvironment=STAGE', true],
    ['[Match]\nEnvironment=STAGE=prod', false],
    ['[Match]\nPathExists=src', true],
    ['[Match]\nPathExists=!gone', true],
    ['[Match]\nBuildSources=/kernel', true],
    ['[Match]\nImageId=%i', true],
  ])('%j: %s', async (conditions, holds) => {
    expect(await marks(project(conditions))).toEqual(holds ? ['/x'] : []);
  });

  it('gates a whole directory where it stands in its main file', async () => {
    const files = {
      'mkimg.conf': '',
      'mkimg.conf.d/rpm/mkimg.conf': `[Match]\nDistribution=fedora\n${mark('/rpm')}`,
      'mkimg.conf.d/rpm/mkimg.conf.d/x.conf': mark('/x'),
      'mkimg.conf.d/rpm/mkimg.extra/': '',
    };
    const { config } = await image(files);
    expect([config.RemoveFiles, config.ExtraTrees]).toEqual([[], []]);
  });

  it('looks at the values so far and at the command line', async () => {
    const files = {
      'mkimg.conf': '[Output]\nImageId=egret\n',
      'mkimg.conf.d/1.conf': `[Match]\nImageId=egret\nFormat=tar\n${mark('/early')}`,
      'mkimg.conf.d/2.conf': '[Output]\nImageId=heron\n',
      'mkimg.conf.d/3.conf': `[Match]\nImageId=heron\n${mark('/late')}`,
    };
    expect(await marks(files, { Format: 'tar' })).toEqual(['/early', '/late']);
  });

  it('does not freeze defaults that it looked at', async () => {
    const files = {
      'mkimg.conf': '',
      'mkimg.conf.d/1.conf': `[Match]\nRelease=bookworm\n[Build]\nEnvironment=OUT=%o\n${mark('/host-release')}`,
      'mkimg.conf.d/2.conf': '[Output]\nImageId=late\n',
    };
    const { config } = await image(files);
    expect(config.RemoveFiles).toEqual(['/host-release']);
    expect(config.Environment).toEqual({ OUT: 'image' });
    expect(config.Output).toBe('late');
  });
});

describe('specifiers', () => {
  it('stand for settings and directories', async () => {
    const { config } = await image({
      'mkimg.conf':
        '[Distribution]\nRelease=sid\nArchitecture=arm64\n[Output]\nImageId=egret\nImageVersion=3\nFormat=tar\nOutput=%i-%v-%a\nOutputDirectory=out\n[Build]\nEnvironment=D=%d R=%r T=%t O=%o DIR=%O FS=%F NAME=%I PCT=100%%\n',
      'mkimg.conf.d/b/mkimg.conf': '[Build]\nEnvironment=C3=%C P3=%P D3=%D\n',
      'mkimg.conf.d/c.conf': '[Include]\nInclude=lib/inc.conf\n',
      'lib/inc.conf': '[Build]\nEnvironment=C4=%C P4=%P\n',
    });
    expect(config.Environment).toEqual({
      D: 'debian',
      R: 'sid',
      T: 'tar',
      O: 'egret-3-arm64',
      DIR: '/project/out',
      FS: 'ext4',
      NAME: 'main',
      PCT: '100%',
      C3: '/project/mkimg.conf.d/b',
      P3: '/project/mkimg.conf.d/b',
      D3: '/project',
      C4: '/project/lib',
      P4: '/project',
    });
  });

  it('do not count on the command line', async () => {
    expect((await image({ 'mkimg.conf': '' }, { Hostname: '%i' })).config.Hostname).toBe('%i');
  });
});

describe('defaults', () => {
  it('follow from the final values', async () => {
    const { config } = await image({ 'mkimg.conf': '[Output]\nFormat=tar\nImageId=a\nImageVersion=2\n' });
    expect([config.CompressOutput, config.Output, config.Release]).toEqual(['zstd', 'a_2', 'bookworm']);
    expect(config.BuildSources).toEqual([{ source: '/project', target: '' }]);
    expect([config.Initrds, config.Seed, config.ToolsTree]).toEqual([[], undefined, undefined]);
  });

  it('take the release of the host only from the same distribution', async () => {
    const request = memoryProject({ 'mkimg.conf': '[Distribution]\nDistribution=debian\n' });
    const host = { architecture: 'arm64', distribution: 'fedora', codename: 'x' } as const;
    const loaded = await loadProject({ ...request, host });
    expect(loaded.ok && loaded.value.main.config.Release).toBe('testing');
    expect(loaded.ok && loaded.value.main.config.Architecture).toBe('arm64');
  });

  it('take the epoch from Environment=, then from the caller', async () => {
    const files = { 'mkimg.conf': '[Build]\nEnvironment=SOURCE_DATE_EPOCH=7\n' };
    expect((await image(files)).config.SourceDateEpoch).toBe(7);
    const request = memoryProject({ 'mkimg.conf': '' });
    const loaded = await loadProject({ ...request, environment: { SOURCE_DATE_EPOCH: '9' } });
    expect(loaded.ok && loaded.value.main.config.SourceDateEpoch).toBe(9);
  });
});

describe('origins', () => {
  it('point at the line of each item', async () => {
    const main = await image(
      {
        'mkimg.conf': '[Content]\nPackages=zsh\n  vim   acl\nHostname=a\n[Build]\nEnvironment=A=1 B=2\n',
        'mkimg.conf.d/x.conf': '[Content]\n\nHostname=b\n',
      },
      { Packages: 'nano' },
    );
    expect(line(main.originOf('Packages', 'vim'))).toBe('/project/mkimg.conf:3:3');
    expect(line(main.originOf('Packages', 'acl'))).toBe('/project/mkimg.conf:3:9');
    expect(main.originOf('Packages', 'nano')).toEqual({ kind: 'flag', text: '--Packages=nano' });
    expect(line(main.originOf('Hostname'))).toBe('/project/mkimg.conf.d/x.conf:3:10');
    expect(line(main.originOf('Environment', 'B'))).toBe('/project/mkimg.conf:6:17');
    expect(main.originOf('Format')).toEqual({ kind: 'default' });
    expect(main.isDefault('Hostname')).toBe(false);
    expect(main.isDefault('Format')).toBe(true);
  });
});

describe('inputs of a build', () => {
  it('are checked apart from reading, with the line that names them', async () => {
    const files = {
      'mkimg.conf': '[Content]\nExtraTrees=gone:/srv\nBuildScripts=b.sh\nInitrds=default,none.cpio\n',
      'b.sh': 'echo\n',
    };
    const faults = missingInputs(await image(files), memoryFiles(files));
    expect(faults.map(({ code, origin }) => [code, origin && line(origin)])).toEqual([
      ['missing-file', '/project/mkimg.conf:2:12'],
      ['missing-file', '/project/mkimg.conf:4:17'],
      ['script-not-executable', '/project/mkimg.conf:3:14'],
    ]);
  });

  it('take variables from files, and Environment= over them', async () => {
    const main = await image({
      'mkimg.conf': '[Build]\nEnvironment=B=mine\n',
      'mkimg.env': 'A=1\nB=2\n',
    });
    expect(main.environment).toEqual({ A: '1', B: 'mine' });
  });
});

describe('JSON', () => {
  it("has mkosi's names and shapes, without secrets unless asked", async () => {
    const main = await image({
      'mkimg.conf':
        '[Content]\nRootPassword=swamp\nExtraTrees=a:/b\nBootable=yes\n[Runtime]\nCredentials=t=1\n',
    });
    const hidden = imageJson(main, { revealSecrets: false });
    expect(hidden).toMatchObject({
      Image: 'main',
      Distribution: 'debian',
      Bootable: 'enabled',
      RAM: 2147483648,
      ImageId: null,
      RootPassword: ['***', false],
      Credentials: [{ Name: 't', Value: '***', Path: null }],
      ExtraTrees: [{ Source: '/project/a', Target: '/b' }],
    });
    expect(imageJson(main, { revealSecrets: true })).toMatchObject({ RootPassword: ['swamp', false] });
  });
});

describe('built-in images', () => {
  const user = {
    'mkimg.conf':
      '[Config]\nProfiles=p\n[Distribution]\nRelease=sid\nArchitecture=arm64\nRepositoryKeyCheck=no\nRepositories=contrib\n[Output]\nImageId=egret\nFormat=tar\n[Content]\nPackages=zsh\nHostname=marsh\nLocale=de\n',
    'mkimg.profiles/p.conf': '',
    '/builtin/mkimg.conf':
      '[Distribution]\nRelease=trixie\n[Output]\nFormat=cpio\n[Content]\nPackages=udev\n',
    '/builtin/mkimg.profiles/vm.conf': '[Content]\nPackages=qemu\n',
  };

  async function builtin(name: 'default-initrd' | 'tools', flags: Flags = {}): Promise<ResolvedImage> {
    const request = memoryProject(user, flags);
    const loaded = await loadBuiltinImage({
      ...request,
      name,
      directory: hostPath('/builtin'),
      inherit: await image(user),
    });
    if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
    return loaded.value;
  }

  it('take from the main image what it decides for all, and what others start from', async () => {
    const initrd = await builtin('default-initrd', { Packages: 'lvm2' });
    const { config } = initrd;
    expect([config.Release, config.Architecture, config.Repositories]).toEqual(['sid', 'arm64', ['contrib']]);
    expect([config.Format, config.Packages, config.Profiles]).toEqual(['cpio', ['udev', 'lvm2'], []]);
    expect([config.Hostname, config.Locale, config.ImageId]).toEqual(['marsh', undefined, 'egret']);
    expect(config.OutputDirectory).toBe('/project');
    expect(initrd.originOf('Release')).toEqual({ kind: 'inherited', image: 'main' });
  });

  it('tools have a distribution of their own and run here', async () => {
    const { config } = await builtin('tools', { Profiles: 'vm' });
    expect([config.Release, config.Architecture, config.Repositories]).toEqual(['trixie', 'x86-64', []]);
    expect([config.Packages, config.RepositoryKeyCheck]).toEqual([['qemu', 'udev'], false]);
    expect(config.Hostname).toBeUndefined();
  });
});
