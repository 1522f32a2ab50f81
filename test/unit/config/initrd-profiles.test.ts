import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import type { ImageConfig } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';

const root = resolve(import.meta.dirname, '../../..');
const directory = hostPath(join(root, 'images/minimal'));
const profiles = readdirSync(join(root, 'drop-ins/initrd')).map((name) => name.replace(/\.conf$/, ''));
const host = { architecture: 'x86-64', distribution: 'debian', codename: 'trixie' } as const;

/** The default initrd of an image with these flags. @throws Error with what is wrong with the configuration */
async function initrdOf(flags: Readonly<Record<string, string>>): Promise<ImageConfig> {
  const assignments = Object.entries(flags).map(([setting, text]) => ({
    setting,
    text,
    flag: `--${setting}`,
  }));
  const loaded = await loadProject({ directory, assignments, environment: {}, host });
  const said = loaded.ok ? loaded.warnings : loaded.diagnostics;
  const about = said.filter(({ message }) => message.includes('profile'));
  if (!loaded.ok || about.length > 0) throw new Error(said.map(({ message }) => message).join('\n'));
  const initrd = loaded.value.images.find(({ name }) => name === 'default-initrd');
  if (initrd === undefined) throw new Error('the image has no default initrd');
  return initrd.config;
}

/** What a profile adds to the default initrd. */
async function added(profile: string, flags: Readonly<Record<string, string>> = {}) {
  const [without, having] = await Promise.all([
    initrdOf(flags),
    initrdOf({ ...flags, InitrdProfiles: profile }),
  ]);
  return {
    packages: having.Packages.filter((name) => !without.Packages.includes(name)),
    modules: having.KernelInitrdModules,
    trees: having.ExtraTrees.length - without.ExtraTrees.length,
  };
}

const onDebian: Readonly<Record<string, readonly string[]>> = {
  fido2: ['libfido2-1'],
  hibernate: [],
  iscsi: ['open-iscsi', 'systemd-resolved'],
  keymap: ['console-data', 'kbd'],
  live: [],
  lvm: ['lvm2', 'thin-provisioning-tools'],
  multipath: ['multipath-tools'],
  nbd: ['nbd-client', 'systemd-resolved'],
  network: ['systemd-resolved'],
  nfs: ['nfs-common', 'systemd-resolved'],
  'nvme-of': ['nvme-cli', 'systemd-resolved'],
  pkcs11: ['libccid', 'opensc-pkcs11', 'p11-kit', 'p11-kit-modules', 'pcscd'],
  plymouth: ['desktop-base', 'kbd', 'plymouth', 'plymouth-themes'],
  raid: ['mdadm'],
  'ssh-unlock': ['dropbear-bin', 'systemd-resolved'],
};

describe('profiles of the default initrd', () => {
  it.each(Object.entries(onDebian))('%s brings its packages on Debian', async (profile, packages) => {
    const { packages: own } = await added(profile);
    expect([...own].sort()).toEqual(packages);
  });

  it.each(profiles)('%s adds something, and says what', async (profile) => {
    const { packages, modules, trees } = await added(profile);
    expect(packages.length + modules.length + trees).toBeGreaterThan(0);
    const path = join(root, 'drop-ins/initrd', profile);
    const main =
      statSync(path, { throwIfNoEntry: false }) === undefined ? `${path}.conf` : join(path, 'mkimg.conf');
    expect(readFileSync(main, 'utf8')).toMatch(/^# \S/);
    expect(readFileSync(join(root, 'docs/initrd-profiles.md'), 'utf8')).toContain(`| \`${profile}\` |`);
  });

  it('adds patterns of modules and takes the generic ones from nobody', async () => {
    for (const profile of profiles) {
      const { modules } = await added(profile);
      expect(modules.filter((pattern) => pattern === 'default' || pattern.startsWith('-'))).toEqual([]);
    }
  });

  it.each(['fedora', 'arch', 'opensuse', 'ubuntu'])('are there for %s', async (Distribution) => {
    const needed = ['iscsi', 'lvm', 'multipath', 'nbd', 'nfs', 'raid', 'rescue'];
    for (const profile of needed) {
      const { packages } = await added(profile, { Distribution, Initrds: 'default' });
      expect(packages, profile).not.toEqual([]);
    }
  });

  it('brings the network along where a profile needs it', async () => {
    const network = await added('network');
    for (const profile of ['iscsi', 'nbd', 'nfs', 'nvme-of', 'ssh-unlock']) {
      const { modules } = await added(profile);
      expect(modules).toEqual(expect.arrayContaining([...network.modules]));
    }
  });
});
