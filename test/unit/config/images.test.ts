import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../../../src/base/diagnostic.ts';
import type { Project, ResolvedImage } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import type { ProgramRequest, RunProgram } from '../../../src/config/programs.ts';
import { memoryProject } from '../../helpers/memory-files.ts';

type Files = Readonly<Record<string, string>>;
type Flags = Parameters<typeof memoryProject>[1];

async function load(files: Files, flags: Flags = {}, runProgram?: RunProgram): Promise<Project> {
  const request = memoryProject(files, flags);
  const loaded = await loadProject({ ...request, ...(runProgram && { runProgram }) });
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  return loaded.value;
}

async function faults(files: Files, flags: Flags = {}): Promise<readonly Diagnostic[]> {
  const loaded = await loadProject(memoryProject(files, flags));
  return loaded.ok ? loaded.warnings : loaded.diagnostics;
}

function place({ origin }: Diagnostic): string {
  if (origin?.kind === 'file') return `${origin.span.file}:${origin.span.line}`;
  return origin?.kind === 'path' ? origin.path : (origin?.kind ?? 'nowhere');
}

const names = (project: Project): readonly string[] => project.images.map(({ name }) => name);

function named(project: Project, name: string): ResolvedImage {
  const found = [...project.images, project.tools].find((image) => image?.name === name);
  if (found === undefined) throw new Error(`no image ${name}`);
  return found;
}

const depends = (...on: string[]): string => `[Config]\nDependencies=${on.join(' ')}\n`;

describe('subimages', () => {
  it('are files and directories of mkimg.images/, before the main image', async () => {
    const project = await load({
      'mkimg.conf': '[Output]\nImageId=egret\n[Content]\nPackages=top\n',
      'mkimg.images/b.conf': '[Content]\nPackages=b\n',
      'mkimg.images/a/mkimg.conf': '[Content]\nPackages=a\n',
      'mkimg.images/a/mkimg.conf.d/x.conf': '[Content]\nPackages=x\n',
      'mkimg.images/readme.txt': '',
      'mkimg.images/.hidden.conf': 'no configuration',
    });
    expect(names(project)).toEqual(['a', 'b', 'main']);
    expect(named(project, 'a').config.Packages).toEqual(['a', 'x']);
    expect(named(project, 'a').config.Output).toBe('a');
    expect(named(project, 'a').config.ImageId).toBe('egret');
    expect(project.main.config.Dependencies).toEqual(['a', 'b']);
    expect(project.main.config.Packages).toEqual(['top']);
  });

  it('take what the main image decides, and start from what it hands down', async () => {
    const project = await load(
      {
        'mkimg.conf':
          '[Config]\nPassEnvironment=A\n[Distribution]\nRelease=sid\n[Output]\nSectorSize=2048\n[Build]\nEnvironment=A=1 B=2\nWithTests=no\n',
        'mkimg.images/a.conf': '[Output]\nSectorSize=512\n[Build]\nEnvironment=C=3\n',
        'mkimg.images/b.conf': '',
      },
      { ImageVersion: '7', Packages: 'cli' },
    );
    const [a, b] = [named(project, 'a').config, named(project, 'b').config];
    expect([a.Release, a.WithTests, a.SectorSize, a.ImageVersion]).toEqual(['sid', false, 512, '7']);
    expect([b.SectorSize, b.Packages]).toEqual([2048, []]);
    expect(a.Environment).toEqual({ A: '1', C: '3' });
    expect(named(project, 'a').originOf('Release')).toEqual({ kind: 'inherited', image: 'main' });
  });

  it('keep their local configuration to themselves', async () => {
    const project = await load({
      'mkimg.conf': '',
      'mkimg.images/a/mkimg.conf': '',
      'mkimg.images/a/mkimg.local.conf': '[Content]\nPackages=mine\n',
      'mkimg.images/b/mkimg.conf': '',
    });
    expect(named(project, 'a').config.Packages).toEqual(['mine']);
    expect(named(project, 'b').config.Packages).toEqual([]);
  });

  it('decide some settings of all images for themselves, in files with the prefix mkimg.', async () => {
    const files = {
      'mkimg.conf': '[Distribution]\nRelease=trixie\n[Output]\nOutputDirectory=out\n',
      'mkimg.images/a.conf':
        '[Distribution]\nRelease=sid\nArchitecture=arm64\nMirror=http://mirror.example\n[Output]\nOutputDirectory=elsewhere\n[Build]\nWithNetwork=yes\nIncremental=yes\nToolsTree=no\n',
      'mkimg.images/b.conf': '[Match]\nRelease=trixie\n',
    };
    const project = await load(files, { Release: 'forky' });
    expect(names(project)).toEqual(['a', 'main']);
    const { config } = named(project, 'a');
    expect([config.Release, config.Architecture, config.OutputDirectory]).toEqual([
      'sid',
      'arm64',
      '/project/elsewhere',
    ]);
    expect([config.Mirror, config.WithNetwork, config.Incremental, config.ToolsTree]).toEqual([
      'http://mirror.example',
      true,
      'yes',
      'no',
    ]);
    expect(project.main.config.Release).toBe('forky');
  });

  it('may not set what the main image decides', async () => {
    const sub = '[Distribution]\nRelease=sid\nRepositories=contrib\n[Runtime]\nRAM=1G\n';
    const own = await faults({ 'mkimg.conf': '', 'mkimg.images/a.conf': sub });
    expect(own.map((fault) => [fault.code, place(fault)])).toEqual([
      ['prohibited-setting', '/project/mkimg.images/a.conf:3'],
      ['prohibited-setting', '/project/mkimg.images/a.conf:5'],
    ]);
    const mkosi = await faults({ 'mkosi.conf': '', 'mkosi.images/a.conf': sub });
    expect(mkosi.map(place)).toEqual([2, 3, 5].map((line) => `/project/mkosi.images/a.conf:${line}`));
  });

  it('are left out where their conditions do not hold', async () => {
    const files = {
      'mkimg.conf': '',
      'mkimg.images/a.conf': '[Match]\nImage=a\n',
      'mkimg.images/b.conf': '[Match]\nImage=a\n',
    };
    expect(names(await load(files))).toEqual(['a', 'main']);
    const [fault] = await faults({ ...files, 'mkimg.conf': depends('b') });
    expect([fault?.code, fault?.hint]).toEqual([
      'unknown-image',
      'There is a file for it, but its conditions do not hold.',
    ]);
  });

  it('have names of their own', async () => {
    const found = await faults({
      'mkimg.conf': '',
      'mkimg.images/main.conf': '',
      'mkimg.images/a.conf': '',
      'mkimg.images/a/mkimg.conf': '',
    });
    expect(found.map(({ code, message }) => `${code}: ${message}`)).toEqual([
      "bad-image-name: there are two images 'a'",
      "bad-image-name: an image cannot be called 'main'",
    ]);
  });
});

describe('Dependencies=', () => {
  it('choose and order images, with what these need', async () => {
    const project = await load({
      'mkimg.conf': depends('web'),
      'mkimg.images/base.conf': '',
      'mkimg.images/other.conf': '',
      'mkimg.images/web.conf': depends('zlayer'),
      'mkimg.images/zlayer.conf': depends('base'),
    });
    expect(names(project)).toEqual(['base', 'zlayer', 'web', 'main']);
  });

  it('take images back', async () => {
    const images = { 'mkimg.images/a.conf': '', 'mkimg.images/b.conf': '' };
    const project = await load({ 'mkimg.conf': depends('a', 'b', '!a'), ...images });
    expect(names(project)).toEqual(['b', 'main']);
    expect(names(await load({ 'mkimg.conf': depends(''), ...images }))).toEqual(['main']);
  });

  it('that lead nowhere or in circles are faults at their line', async () => {
    const [unknown] = await faults({ 'mkimg.conf': depends('web', 'gohst'), 'mkimg.images/ghost.conf': '' });
    expect(unknown?.message).toBe("there is no image 'web'");
    const images = { 'mkimg.images/a.conf': depends('b'), 'mkimg.images/b.conf': depends('c') };
    const [circle] = await faults({ 'mkimg.conf': '', ...images, 'mkimg.images/c.conf': depends('b') });
    expect(circle?.message).toBe('images depend on each other: b -> c -> b');
    expect(circle && place(circle)).toBe('/project/mkimg.images/c.conf:2');
    const [own] = await faults({ 'mkimg.conf': '', 'mkimg.images/a.conf': depends('a') });
    expect(own?.message).toBe("the image 'a' depends on itself");
  });
});

describe('the tools tree', () => {
  const files = {
    'mkimg.conf':
      '[Distribution]\nRelease=sid\nRepositories=contrib\n[Build]\nToolsTree=default\nToolsTreeDistribution=debian\nToolsTreeRelease=bookworm\nToolsTreePackages=jq !zstd\nToolsTreeProfiles=devel\n',
    'mkimg.tools.conf': '[Content]\nPackages=ripgrep\nWithDocs=yes\n',
  };

  it('is made of ToolsTree settings, mkimg.tools.conf and what mkimg brings along', async () => {
    const { config } = named(
      await load({ ...files, 'mkimg.tools.conf': '[Content]\nPackages=ripgrep\n' }),
      'tools',
    );
    expect([config.Format, config.Release, config.Repositories, config.Profiles]).toEqual([
      'directory',
      'bookworm',
      [],
      ['devel'],
    ]);
    expect(config.Packages).toEqual(expect.arrayContaining(['apt', 'jq', 'ripgrep', 'cmake']));
    expect(config.Packages).not.toContain('zstd');
    expect([config.Output, config.WithDocs]).toEqual(['mkimg.tools', false]);
  });

  it('takes only settings that mean something for it', async () => {
    const [fault] = await faults(files);
    expect([fault?.code, fault?.message]).toEqual([
      'prohibited-setting',
      'WithDocs= cannot be set for the tools tree',
    ]);
  });

  it('is not there when nobody asks for it', async () => {
    expect((await load({ 'mkimg.conf': '' })).tools).toBeUndefined();
  });
});

describe('the default initrd', () => {
  const files = {
    'mkimg.conf':
      '[Config]\nProfiles=p\n[Content]\nBootable=yes\nHostname=marsh\nPackages=top\nInitrdPackages=lvm2 !dosfstools\n',
    'mkimg.profiles/p.conf': '',
    'mkimg.initrd.conf': '[Output]\nCompressOutput=xz\n[Content]\nPackages=strace\nLocale=de_DE.UTF-8\n',
  };

  it('is built before the images that boot with it', async () => {
    const project = await load({ ...files, 'mkimg.images/a.conf': '[Content]\nBootable=yes\n' });
    expect(names(project)).toEqual(['default-initrd', 'a', 'main']);
    expect(project.main.config.Dependencies).toEqual(['a', 'default-initrd']);
  });

  it("takes the user's values before those that mkimg brings along", async () => {
    const { config } = named(await load(files), 'default-initrd');
    expect([config.Format, config.CompressOutput, config.Locale, config.Hostname]).toEqual([
      'cpio',
      'xz',
      'de_DE.UTF-8',
      'marsh',
    ]);
    expect(config.Packages).toEqual(expect.arrayContaining(['systemd', 'strace', 'lvm2']));
    expect(config.Packages).not.toContain('top');
    expect(config.Packages).not.toContain('dosfstools');
  });

  it('reads profiles of its own', async () => {
    const { config } = named(await load(files, { InitrdProfiles: 'raid' }), 'default-initrd');
    expect(config.Profiles).toEqual(['raid']);
    expect(config.Packages).toContain('mdadm');
  });
});

describe('programs', () => {
  const files = {
    'mkimg.conf': '',
    'mkimg.version': '#!/bin/sh',
    'mkimg.configure': '#!/bin/sh',
  };

  it('set values, and rewrite all of them', async () => {
    const asked: ProgramRequest[] = [];
    const project = await load(files, {}, async (request) => {
      asked.push(request);
      if (request.input === undefined) return Promise.resolve({ ok: true, output: '2.1\n' });
      const json = JSON.parse(request.input) as Record<string, unknown>;
      const changed = {
        Hostname: `v${String(json['ImageVersion'])}`,
        Packages: ['a'],
        ExtraTrees: [{ Source: '/srv', Target: '/opt' }],
        RootPassword: ['swamp', false],
        Environment: { A: 'b c' },
        Bootable: 'disabled',
        OutputMode: 0o640,
        SplitArtifacts: [],
      };
      const output = JSON.stringify({ ...json, ...changed });
      return Promise.resolve({ ok: true, output });
    });
    const { config } = project.main;
    expect([config.ImageVersion, config.Hostname, config.Packages]).toEqual(['2.1', 'v2.1', ['a']]);
    expect([config.RootPassword, config.Environment]).toEqual([
      { hashed: false, value: 'swamp' },
      { A: 'b c' },
    ]);
    expect([config.Bootable, config.OutputMode, config.SplitArtifacts]).toEqual([false, 0o640, []]);
    expect(config.ExtraTrees).toEqual([{ source: '/srv', target: 'opt' }]);
    expect(project.main.originOf('Hostname')).toEqual({ kind: 'path', path: '/project/mkimg.configure' });
    expect(asked.filter(({ program }) => program === '/project/mkimg.version')).toHaveLength(1);
  });

  it.each([
    ['no JSON', 'bad-configure-output'],
    ['{"Hostnaem":"x"}', 'unknown-setting'],
    ['{"Packages":7}', 'bad-configure-output'],
  ])('that write %s are a fault', async (output, code) => {
    const run: RunProgram = async () => Promise.resolve({ ok: true, output });
    const request = memoryProject({ 'mkimg.conf': '', 'mkimg.configure': '#!/bin/sh' });
    const loaded = await loadProject({ ...request, runProgram: run });
    expect(loaded.ok ? [] : loaded.diagnostics.map((fault) => fault.code)).toEqual([code]);
  });

  it('that fail are a fault at their file', async () => {
    const run: RunProgram = async () => Promise.resolve({ ok: false, reason: 'exit code 3: oh no' });
    const request = memoryProject({ 'mkimg.conf': '', 'mkimg.version': '#!/bin/sh' });
    const loaded = await loadProject({ ...request, runProgram: run });
    const [fault] = loaded.ok ? [] : loaded.diagnostics;
    expect(fault?.message).toBe('the program that sets ImageVersion= failed: exit code 3: oh no');
    expect(fault && place(fault)).toBe('/project/mkimg.version');
  });

  it('tell the version of systemd', async () => {
    const conf = '[Match]\nSystemdVersion=>=257\n[Output]\nImageId=new\n';
    const run: RunProgram = async () =>
      Promise.resolve({ ok: true, output: 'systemd 257 (257.4-1)\n+PAM\n' });
    const project = await load({ 'mkimg.conf': '', 'mkimg.conf.d/a.conf': conf }, {}, run);
    expect(project.main.config.ImageId).toBe('new');
  });
});

describe('what was read', () => {
  const files = {
    'mkimg.conf': '[Output]\nImageId=one\n[Content]\nPackages=a b\n',
    'mkimg.conf.d/1.conf': '[Match]\nFormat=|tar\nFormat=|cpio\nImageId=one\n[Content]\nPackages=c\n',
    'mkimg.conf.d/2.conf': '[Content]\nPackages=\nPackages=d !nothing\n',
  };

  it('is kept with each assignment', async () => {
    const { main } = await load(files, { ImageId: 'two' });
    const shown = main.assignments.map(({ setting, layer, kind, text }) => [setting, layer, kind, text]);
    expect(shown).toEqual([
      ['ImageId', 'command line', 'set', 'two'],
      ['ImageId', 'files', 'set', 'one'],
      ['Packages', 'files', 'set', 'a b'],
      ['Packages', 'files', 'clear', ''],
      ['Packages', 'files', 'set', 'd !nothing'],
    ]);
    expect(main.resolved('Packages').idleRemovals.map(({ value }) => value)).toEqual(['nothing']);
  });

  it('is kept with each file, and with the conditions that did not hold', async () => {
    const { main } = await load(files);
    expect(main.files.map(({ path, role, failed }) => [path, role, failed.length])).toEqual([
      ['/project/mkimg.conf', 'configuration', 0],
      ['/project/mkimg.conf.d/1.conf', 'drop-in', 2],
      ['/project/mkimg.conf.d/2.conf', 'drop-in', 0],
    ]);
    const [first] = main.files[1]?.failed ?? [];
    expect(first).toMatchObject({ section: 'Match', key: 'Format', wanted: '|tar', actual: 'disk' });
    expect(first?.origin.kind === 'file' && first.origin.span.line).toBe(2);
  });

  it('holds no secret text', async () => {
    const { main } = await load({ 'mkimg.conf': '[Content]\nRootPassword=swamp\n' });
    expect(main.assignments.map(({ text }) => text)).toEqual([undefined]);
  });
});

describe('configuration that goes in circles or is none', () => {
  it('ends at an include of itself', async () => {
    const files = { 'mkimg.conf': '[Config]\nInclude=b.conf\n', 'b.conf': '[Config]\nInclude=mkimg.conf\n' };
    const [fault] = await faults(files);
    expect([fault?.code, fault?.severity, fault && place(fault)]).toEqual([
      'include-loop',
      'error',
      '/project/b.conf:2',
    ]);
  });

  it('names directories where files are expected', async () => {
    const found = await faults({ 'mkimg.conf/': '', 'mkimg.conf.d/a.conf': '' });
    expect(found.map((fault) => [fault.code, place(fault)])).toEqual([['not-a-file', '/project/mkimg.conf']]);
  });
});
