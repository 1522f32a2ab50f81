import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { sha256 } from '../../../../src/base/canonical.ts';
import { extractArgv } from '../../../../src/steps/apt/bootstrap.ts';
import {
  aptConfigurationText,
  aptInstallArgv,
  aptRun,
  aptShowArgv,
  generatedSources,
  proxyEnvironment,
} from '../../../../src/steps/apt/configuration.ts';
import { dpkgArgv, dpkgName, maintainerEnvironment, unpackArgv } from '../../../../src/steps/apt/dpkg.ts';
import { openRepositorySet, requestArchitectures } from '../../../../src/steps/apt/repository-set.ts';
import { exactVersion, parsePrintUris } from '../../../../src/steps/apt/solution.ts';

const directories = {
  configuration: hostPath('/w/apt'),
  lists: hostPath('/m/lists'),
  cache: hostPath('/m/cache'),
};
const set = openRepositorySet({
  kind: 'apt',
  repositories: [
    {
      uris: ['http://mirror.example/debian'],
      suites: ['trixie'],
      components: ['main'],
      signedBy: { $host: hostPath('/keys/debian.gpg') },
    },
    { uris: ['file:/srv/debs'], suites: ['./'], components: [] },
  ],
  checkSignatures: true,
  checkValidUntil: true,
  sandboxTrees: [],
});
const sources = { set, architectures: ['amd64', 'i386'] };

describe('apt', () => {
  it('reads nothing of the host and fetches package indexes only', () => {
    const text = aptConfigurationText(['amd64', 'i386']);
    expect(text).toContain('Dir::Etc "/etc/apt";\n');
    expect(text).toContain('Acquire::Languages "none";\n');
    expect(text).toContain('Acquire::PDiffs "false";\n');
    expect(text).toContain('APT::Architecture "amd64";\n');
    expect(text).toContain('APT::Architectures { "amd64"; "i386"; };\n');
    expect(text).not.toMatch(/AllowUnauthenticated|AllowInsecure/i);
  });

  it('sees keyrings under names of its own, and repositories on disk', () => {
    const { mounts, env } = aptRun(sources, directories);
    expect(env).toMatchObject({ APT_CONFIG: '/apt/apt.conf' });
    expect(mounts).toContainEqual({ source: '/keys/debian.gpg', target: '/apt/keyrings/0.gpg', mode: 'ro' });
    expect(mounts).toContainEqual({ source: '/srv/debs', target: '/srv/debs', mode: 'ro' });
    expect(generatedSources(sources)).toContain(
      'Architectures: amd64 i386\nSigned-By: /apt/keyrings/0.gpg\n',
    );
    expect(generatedSources(sources)).not.toContain('Trusted');
    expect(generatedSources(sources)).toContain('URIs: copy:/srv/debs\n');
  });

  it('trusts unsigned repositories only when signatures are not to be checked', () => {
    const open = { ...sources, set: { ...set, checkSignatures: false } };
    expect(generatedSources(open)).toContain('Trusted: yes\n');
  });

  it('asks for one solution without removals', () => {
    const question = { names: ['?essential', 'vim=2:9'], recommends: false };
    expect(aptInstallArgv(directories, question)).toEqual([
      ...['-qq', '--print-uris', '--no-remove', '-o', 'APT::Install-Recommends=false'],
      ...['install', '--', '?essential', 'vim=2:9'],
    ]);
    const local = { ...directories, local: hostPath('/w/local') };
    expect(aptInstallArgv(local, question)).toContain('/apt/local/Packages');
    expect(aptShowArgv(directories, ['a=1'])).toEqual(['--no-all-versions', 'show', '--', 'a=1']);
  });

  it('hands proxies on', () => {
    const environment = { http_proxy: 'http://p:3128', NO_PROXY: '', HTTPS_PROXY: 'http://q', HOME: '/root' };
    expect(proxyEnvironment(environment)).toEqual({ http_proxy: 'http://p:3128', HTTPS_PROXY: 'http://q' });
  });
});

describe('requestArchitectures', () => {
  it('finds foreign architectures among package names, in any form', () => {
    const names = ['bash', 'libc6:i386', 'hello:arm64=2.10', 'x:any', 'y:i386/trixie', '/srv/a:armhf.deb'];
    expect(requestArchitectures('x86-64', names)).toEqual(['amd64', 'arm64', 'i386']);
    expect(requestArchitectures('arm64', ['a:arm64'])).toEqual(['arm64']);
  });
});

describe('parsePrintUris', () => {
  it('reads names, versions with epochs, sizes and digests', () => {
    const digest = sha256('x');
    const text = `'http://m.example/debian/pool/b/bsdutils_2.41%2bdeb_amd64.deb' bsdutils_1%3a2.41+deb_amd64.deb 110 SHA256:${digest}\n`;
    const [file] = parsePrintUris(text);
    expect(file).toEqual({
      url: 'http://m.example/debian/pool/b/bsdutils_2.41%2bdeb_amd64.deb',
      name: 'bsdutils',
      version: '1:2.41+deb',
      architecture: 'amd64',
      size: 110,
      sha256: digest,
    });
    if (file === undefined) return;
    expect(exactVersion(file, 'amd64')).toBe('bsdutils=1:2.41+deb');
    expect(exactVersion(file, 'i386')).toBe('bsdutils:amd64=1:2.41+deb');
  });

  it('does not accept weaker digests', () => {
    expect(() => parsePrintUris("'http://m/a' a_1_all.deb 1 MD5Sum:00\n")).toThrow(/internal/);
  });
});

describe('dpkg', () => {
  const entry = { name: 'libc6', architecture: 'amd64', sha256: sha256('libc6') };

  it('asks nothing, logs nothing, and filters documentation if told so', () => {
    expect(dpkgArgv({ documentation: true }, ['--audit'])).toEqual([
      ...['--log=/dev/null', '--force-unsafe-io', '--force-confdef', '--force-confold', '--audit'],
    ]);
    const filtered = dpkgArgv({ documentation: false }, ['--audit']);
    expect(filtered.indexOf('--path-exclude=/usr/share/doc/*')).toBeLessThan(
      filtered.indexOf('--path-include=/usr/share/doc/*/copyright'),
    );
  });

  it('forces dependencies only where told so', () => {
    const file = `/run/mkimg/packages/${entry.sha256}.deb`;
    expect(unpackArgv({ packages: [entry], force: false })).toEqual(['--no-triggers', '--unpack', file]);
    expect(unpackArgv({ packages: [entry], force: true })[0]).toBe('--force-depends');
    expect(dpkgName(entry)).toBe('libc6:amd64');
    expect(dpkgName({ name: 'tzdata', architecture: 'all' })).toBe('tzdata');
  });

  it('keeps maintainer scripts from building boot files, unless the image is not to boot', () => {
    const options = { documentation: true, environment: { FOO: 'bar', DEBIAN_FRONTEND: 'dialog' } };
    const environment = maintainerEnvironment({ ...options, bootable: true });
    expect(environment).toMatchObject({
      FOO: 'bar',
      DEBIAN_FRONTEND: 'noninteractive',
      INITRD: 'No',
      KERNEL_INSTALL_BYPASS: '1',
      SYSTEMD_HWDB_UPDATE_BYPASS: '1',
    });
    expect(maintainerEnvironment({ ...options, bootable: false })).not.toHaveProperty('INITRD');
  });

  it('is preceded by an extraction that keeps the merged directories', () => {
    const [command, options] = [extractArgv(4, false).slice(0, 5), extractArgv(4, false).join(' ')];
    expect(command).toEqual(['-0', '-n', '1', '-P', '4']);
    expect(options).toContain("--keep-directory-symlink --numeric-owner '--exclude=./usr/share/doc/*'");
    expect(extractArgv(4, true).join(' ')).not.toContain('--exclude');
  });
});
