import { describe, expect, it } from 'vitest';
import type { ResolvedImage } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import { memoryProject } from '../../helpers/memory-files.ts';

type Files = Parameters<typeof memoryProject>[0];
type Flags = Parameters<typeof memoryProject>[1];

async function image(files: Files, flags: Flags = {}): Promise<ResolvedImage> {
  const loaded = await loadProject(memoryProject(files, flags));
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  return loaded.value.main;
}

async function codes(files: Files, flags: Flags = {}): Promise<readonly string[]> {
  const loaded = await loadProject(memoryProject(files, flags));
  return (loaded.ok ? loaded.warnings : loaded.diagnostics).map(({ code }) => code);
}

describe('a project below the directory of -C', () => {
  const files = {
    'mkosi/mkosi.conf': '[Content]\nExtraTrees=tree\nKernelCommandLine=d=%D p=%P c=%C\n',
    'mkosi/tree/x': '',
    'mkosi.extra/y': '',
  };

  it('goes before files there that are no configuration by themselves', async () => {
    const { config } = await image(files);
    expect(config.ExtraTrees).toEqual([{ source: '/project/mkosi/tree', target: '' }]);
  });

  it('has the directory of -C for its sources, its name, %D and the paths of flags', async () => {
    const { config } = await image(files, { BaseTrees: 'base' });
    expect(config.BuildSources).toEqual([{ source: '/project', target: '' }]);
    expect(config.Machine).toBe('project');
    expect(config.BaseTrees).toEqual(['/project/base']);
    expect(config.KernelCommandLine).toEqual(['d=/project', 'p=/project/mkosi', 'c=/project/mkosi']);
  });

  it('puts its outputs, and its tools tree, beside the configuration', async () => {
    const text = '[Build]\nToolsTree=default\n[Content]\nPackages=vim\n';
    const loaded = await loadProject(memoryProject({ 'mkosi/mkosi.conf': text }));
    if (!loaded.ok) throw new Error('refused');
    const { images, tools } = loaded.value;
    expect([...images, tools].map((found) => found?.config.OutputDirectory)).toEqual([
      '/project/mkosi',
      '/project/mkosi',
    ]);
  });
});

describe('a directory without configuration', () => {
  it('is one if the command line says what the image is like', async () => {
    expect((await image({ README: '' }, { Format: 'tar' })).config.Format).toBe('tar');
    expect(await codes({ README: '' }, { RAM: '4G' })).toEqual(['no-configuration']);
    expect(await codes({ README: '' }, { Format: '' })).toEqual(['no-configuration']);
  });
});

describe('what must be there', () => {
  it.each(['[Build]\nBuildSources=nowhere\n', '[Build]\nToolsTree=nowhere\n'])('%j', async (text) => {
    expect(await codes({ 'mkimg.conf': text })).toEqual(['missing-file']);
  });
});

describe('conditions', () => {
  async function hostname(condition: string): Promise<string | undefined> {
    const text = `[Match]\n${condition}\n[Content]\nHostname=counts\n`;
    return (await image({ 'mkimg.conf': '[Output]\nImageId=a{b}\n', 'mkimg.conf.d/x.conf': text })).config
      .Hostname;
  }

  it.each(['ImageId=', 'PathExists=', 'ImageId={a,b}*', 'ImageId=+(a)*'])(
    '%s does not hold',
    async (text) => {
      expect(await hostname(text)).toBeUndefined();
    },
  );

  it.each(['ImageId=a{b}', 'ImageId=[!b]*'])('%s holds', async (text) => {
    expect(await hostname(text)).toBe('counts');
  });
});

describe('older forms', () => {
  it('take @NAME for NAME', async () => {
    const files = { 'mkosi.conf': '[Output]\n@ImageId=egret\n' };
    expect((await image(files)).config.ImageId).toBe('egret');
    expect(await codes(files)).toEqual(['old-name']);
  });
});

describe('a default initrd', () => {
  it.each([
    ['disk', ['default']],
    ['directory', ['default']],
    ['tar', ['default']],
    ['none', ['default']],
    ['portable', []],
    ['oci', ['default']],
    ['cpio', []],
    ['uki', []],
    ['sysext', []],
  ] as const)('with a kernel, Format=%s', async (format, initrds) => {
    const text = '[Distribution]\nDistribution=debian\n[Content]\nPackages=linux-image-amd64\n';
    expect((await image({ 'mkimg.conf': text }, { Format: format })).config.Initrds).toEqual(initrds);
  });
});

describe('settings that were written in another way', () => {
  const old =
    'KernelModulesInclude=default,^drivers/net/\nKernelModulesInitrdInclude=host\nFirmwareInclude=intel.*\n';
  const files = { 'mkosi.conf': `[Content]\nKernelModules=-nouveau\n${old}` };

  it('add to the setting of today, their expressions marked as such', async () => {
    const { config } = await image(files);
    expect(config.KernelModules).toEqual(['-nouveau', 'default', 're:^drivers/net/']);
    expect(config.KernelInitrdModules).toEqual(['host']);
    expect(config.FirmwareFiles).toEqual(['re:intel.*']);
  });

  it('are noted', async () => {
    expect(await codes(files)).toEqual(['old-name', 'old-name', 'old-name']);
  });
});
