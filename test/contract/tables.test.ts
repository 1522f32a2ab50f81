import { describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { debianRepositories } from '../../src/distro/apt-sources.ts';
import { architectureNames, architectures, nativeArchitecture } from '../../src/distro/architectures.ts';
import { distributionNames, distributions, laterDistributions } from '../../src/distro/distributions.ts';
import { debianReleaseFacts, debianReleases } from '../../src/distro/tables/debian.ts';
import { partitionTypeName, rootTypeGuid } from '../../src/formats/gpt-types.ts';
import { machines } from '../../src/qemu/machines/index.ts';
import { toolTable } from '../../src/sandbox/tool-table.ts';

const unique = (values: readonly unknown[]): boolean => new Set(values).size === values.length;

describe('architectures', () => {
  it.each(architectureNames)('%s has all that tables say of one', (name) => {
    const { debian, efi, node, console } = architectures[name];
    expect(debian).toMatch(/^[a-z0-9]+$/);
    expect(console).toMatch(/^(tty[A-Za-z]+|hvc)\d$/);
    if (efi !== undefined) expect(efi).toMatch(/^[a-z0-9]+$/);
    expect(partitionTypeName(rootTypeGuid(name))).toBe(`root-${name}`);
    if (node !== undefined) expect(nativeArchitecture(node)).toBe(name);
  });

  it('are told apart by every name', () => {
    const rows = Object.values(architectures);
    expect(unique(rows.map(({ debian }) => debian))).toBe(true);
    expect(unique(rows.flatMap(({ efi }) => efi ?? []))).toBe(true);
    expect(unique(rows.flatMap(({ node }) => node ?? []))).toBe(true);
  });
});

describe('machines', () => {
  it.each(architectureNames.map((name) => [name, machines[name]] as const))(
    '%s can be started',
    (name, machine) => {
      expect(machine.architecture).toBe(name);
      expect(toolTable.get(machine.program)?.debianPackage).toBe(machine.packages.qemu);
      expect(machine.console).toBe(architectures[name].console);
      expect(machine.firmware === undefined).toBe(architectures[name].efi === undefined);
      expect(machine.packages.firmware === undefined).toBe(machine.firmware === undefined);
      expect(machine.kvm.hosts).toContain(name);
      const files = [...(machine.firmware?.plain ?? []), ...(machine.firmware?.secureBoot ?? [])];
      for (const { code, variables } of files) expect([code[0], variables[0]]).toEqual(['/', '/']);
    },
  );
});

describe('distributions', () => {
  it('are known or not yet known, not both', () => {
    expect(unique([...distributionNames, ...laterDistributions])).toBe(true);
  });

  it.each(distributionNames)('%s has a release to begin with, and a file system', (name) => {
    const { defaultRelease, fileSystem } = distributions[name];
    expect(debianReleases.flatMap(({ aliases }) => aliases)).toContain(defaultRelease);
    expect(toolTable.has(`mkfs.${fileSystem}`)).toBe(true);
  });

  it('have releases with names of their own', () => {
    expect(unique(debianReleases.flatMap(({ codename, aliases }) => [codename, ...aliases]))).toBe(true);
  });

  it.each(debianReleases.map((release) => [release.codename, release] as const))(
    'debian %s has its suites',
    (name, release) => {
      for (const alias of release.aliases) expect(debianReleaseFacts(alias)).toBe(release);
      const keyring = { $host: hostPath('/keyring.gpg') };
      const repositories = debianRepositories({ release: name, components: ['main'], keyring });
      const suites = repositories.flatMap((repository) => repository.suites);
      expect(suites).toEqual([
        name,
        ...(release.updates ? [`${name}-updates`] : []),
        ...(release.security ? [`${name}-security`] : []),
      ]);
      expect(repositories.every(({ uris, signedBy }) => uris.length > 0 && signedBy === keyring)).toBe(true);
    },
  );
});
