import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import type { PartSettings } from '../../../src/cli/initrd/part-settings.ts';
import {
  packagesWithoutProfiles,
  parsePartSettings,
  partSettings,
  partSettingsJson,
} from '../../../src/cli/initrd/part-settings.ts';
import type { ResolvedImage } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';

const directory = hostPath(resolve(import.meta.dirname, '../../../configs/initrd'));
const host = { architecture: 'x86-64', distribution: 'debian', codename: 'trixie' } as const;

async function settingsOf(flags: Readonly<Record<string, string>>): Promise<PartSettings> {
  return partSettings(await imageOf(flags));
}

async function imageOf(flags: Readonly<Record<string, string>>): Promise<ResolvedImage> {
  const assignments = Object.entries({ Include: 'mkimg-initrd', ...flags }).map(([setting, text]) => ({
    setting,
    text,
    flag: `--${setting}`,
  }));
  const loaded = await loadProject({ directory, readsDirectory: false, assignments, environment: {}, host });
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  const [main] = loaded.value.images.filter(({ name }) => name === 'main');
  if (main === undefined) throw new Error('no main image');
  return main;
}

describe('partSettings', () => {
  it('tells modules of profiles, also of those that they bring along, from those of the machine', async () => {
    const { patterns, moduleProfiles } = await settingsOf({
      Profiles: 'nfs,live',
      KernelInitrdModules: '-floppy',
    });
    expect(patterns).toEqual(['-floppy']);
    const byName = new Map(moduleProfiles.map(({ name, patterns: own }) => [name, own]));
    expect([...byName.keys()].sort()).toEqual(['live', 'network', 'nfs']);
    expect(byName.get('nfs')).toContain('/fs/nfs/');
    expect(byName.get('network')).toContain('/drivers/net/ethernet/');
    expect(byName.get('live')).toContain('squashfs');
  });

  it('survives being written down', async () => {
    const settings = await settingsOf({ Profiles: 'lvm', SourceDateEpoch: '12345' });
    const note = JSON.parse(JSON.stringify(partSettingsJson(settings))) as null;
    expect(parsePartSettings(note)).toEqual(settings);
    expect(settings.epoch).toBe(12345);
  });

  it.each([
    null,
    {},
    { profiles: [], patterns: [], epoch: 1 },
    { profiles: [1], patterns: [], moduleProfiles: [], epoch: 1 },
  ])('takes nothing for settings that is none: %j', (note) => {
    expect(parsePartSettings(note)).toBeUndefined();
  });
});

describe('packagesWithoutProfiles', () => {
  it('are those of the configuration and of the command line', async () => {
    const flags = { Profiles: 'lvm,raid', Packages: 'xfsprogs' };
    const image = await imageOf(flags);
    const all = image.config.Packages;
    expect(all).toEqual(expect.arrayContaining(['systemd', 'xfsprogs', 'lvm2', 'mdadm']));
    const own = packagesWithoutProfiles(image);
    expect(all.filter((name) => !own.includes(name))).toEqual(expect.arrayContaining(['lvm2', 'mdadm']));
    expect(own).toEqual(packagesWithoutProfiles(await imageOf({ Packages: 'xfsprogs' })));
  });
});
