import { describe, expect, it } from 'vitest';
import type { Project } from '../../../src/config/project.ts';
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
