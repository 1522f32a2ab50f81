import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { debianRepositories } from '../../src/distro/apt-sources.ts';
import {
  architectureNames,
  architectures,
  isNative,
  laterArchitectures,
  nativeArchitecture,
} from '../../src/distro/architectures/index.ts';
import { distributionNames, distributions, laterDistributions } from '../../src/distro/distributions.ts';
import { debianReleaseFacts, debianReleases } from '../../src/distro/tables/debian.ts';
import { partitionTypeName, rootTypeGuid } from '../../src/formats/gpt-types.ts';
import { machines } from '../../src/qemu/machines/index.ts';
import { toolTable } from '../../src/sandbox/tool-table.ts';

const unique = (values: readonly unknown[]): boolean => new Set(values).size === values.length;

describe('architectures', () => {
  it.each(architectureNames)('%s has all that tables say of one', (name) => {
    const { names, efi, node, console, elf, kernel, emulator, uname, loader, triplet } = architectures[name];
    for (const text of Object.values(names)) expect(text).toMatch(/^[a-z0-9_]+$/);
    expect(names.debian).toMatch(/^[a-z0-9]+$/);
    expect(uname).toMatch(/^[a-z0-9_]+$/);
    expect(console).toMatch(/^(tty[A-Za-z]+|hvc)\d$/);
    expect(emulator).toMatch(/^qemu-[a-z0-9_]+$/);
    if (efi !== undefined) expect(efi.name).toMatch(/^[a-z0-9]+$/);
    expect(elf.machine).toBeGreaterThan(0);
    expect(loader).toMatch(/^\/lib(64)?\/ld[a-z0-9.-]+\.so\.\d$/);
    expect(triplet).toMatch(/^[a-z0-9_]+-linux-gnu[a-z]*$/);
    expect(partitionTypeName(rootTypeGuid(name))).toBe(`root-${name}`);
    expect(nativeArchitecture(node)).toBe(name);
    expect(kernel.formats.length).toBeGreaterThan(0);
    for (const size of kernel.pageSizes) expect([4096, 16384, 65536]).toContain(size);
  });

  it.each(architectureNames)('%s boots kernels of its own, or of the architecture that it names', (name) => {
    const { kernel, names, runsOn, efi } = architectures[name];
    const { from } = kernel;
    for (const [family, text] of Object.entries(kernel.packages)) {
      expect(Object.keys(names)).toContain(family);
      const [, foreign] = text.split(':');
      const source = architectureNames.find((other) => architectures[other].names.debian === foreign);
      expect(source).toBe(foreign === undefined ? undefined : from);
    }
    expect(Object.keys(kernel.packages)).toEqual(Object.keys(names));
    if (from !== undefined) expect(runsOn).toContain(from);
    // Where no EFI stub can start a kernel as it is, only formats without a PE header are left.
    expect(kernel.formats.some((format) => ['elf', 's390'].includes(format))).toBe(efi === undefined);
  });

  it.each(architectureNames)('%s runs without an emulator only where the table says so', (name) => {
    const { runsOn, elf } = architectures[name];
    expect(architectureNames.filter((machine) => isNative(name, machine)).sort()).toEqual(
      [name, ...runsOn].sort(),
    );
    for (const other of runsOn) {
      const host = architectures[architectureNames.find((machine) => machine === other) ?? name];
      expect([host.elf.endian, host.elf.bits >= elf.bits]).toEqual([elf.endian, true]);
    }
  });

  it('are told apart by every name and number', () => {
    const rows = Object.values(architectures);
    for (const family of ['debian', 'fedora', 'opensuse', 'arch', 'alpine'] as const)
      expect(unique(rows.flatMap(({ names }) => names[family] ?? []))).toBe(true);
    expect(unique(rows.flatMap(({ efi }) => efi?.name ?? []))).toBe(true);
    expect(unique(rows.flatMap(({ efi }) => efi?.peMachines ?? []))).toBe(true);
    expect(unique(rows.map(({ uname }) => uname))).toBe(true);
    expect(unique(rows.map(({ node }) => node))).toBe(true);
    expect(unique(rows.map(({ loader }) => loader))).toBe(true);
    expect(unique(rows.map(({ triplet }) => triplet))).toBe(true);
    expect(unique(rows.map(({ emulator }) => emulator))).toBe(true);
    expect(unique(rows.map(({ elf }) => [elf.machine, elf.bits, elf.endian].join()))).toBe(true);
    expect(unique(rows.flatMap(({ partitionTypes: { root, usr } }) => [...root, ...usr]))).toBe(true);
    expect(unique([...architectureNames, ...laterArchitectures])).toBe(true);
  });

  it('are files of their own, each in the index', async () => {
    const directory = join(import.meta.dirname, '../../src/distro/architectures');
    const files = (await readdir(directory)).map((file) => basename(file, '.ts'));
    const others = ['architecture', 'generic-calls', 'index'];
    expect(files.filter((file) => !others.includes(file)).sort()).toEqual([...architectureNames].sort());
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
