import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { architectures, nativeArchitecture } from '../../src/distro/architectures/index.ts';
import { writeFiles } from './project.ts';
import { runnableTree } from './step-bench.ts';

const execute = promisify(execFile);
const architecture = architectures[nativeArchitecture()].names.debian;

/** What dpkg and maintainer scripts need inside the image, copied from this machine. */
const programs = [
  ...['sh', 'bash', 'dpkg', 'dpkg-deb', 'dpkg-split', 'dpkg-query', 'dpkg-divert', 'tar', 'diff'],
  ...[
    'cat',
    'chmod',
    'echo',
    'env',
    'head',
    'id',
    'ls',
    'mkdir',
    'pwd',
    'rm',
    'seq',
    'sleep',
    'touch',
    'true',
  ],
];

/** A package of the tiny distribution beside its essential one. */
export interface TinyPackage {
  readonly name: string;
  readonly version?: string;
  /** Paths in the package with their text; `DEBIAN/postinst` and the like are maintainer scripts. */
  readonly files?: Readonly<Record<string, string>>;
}

/**
 * An unsigned repository of a distribution with one essential package, `tiny-base`, in which dpkg runs: an image of it
 * is built in a second or two, offline. `dists/test` and the package files stand below `directory`.
 */
export interface TinyDistribution {
  readonly directory: HostPath;
  /** Adds a package, or another version of it, and writes the index anew. */
  add(entry: TinyPackage): Promise<void>;
  /** Writes the index anew with these fields in its Release file. */
  release(fields: Readonly<Record<string, string>>): Promise<void>;
}

export async function tinyDistribution(directory: HostPath): Promise<TinyDistribution> {
  const work = join(directory, 'work');
  await mkdir(join(directory, 'pool'), { recursive: true });
  const base = hostPath(join(work, 'tiny-base'));
  await mkdir(base, { recursive: true });
  await runnableTree(base, programs);
  // dpkg wants to see them; in a tree of copied files neither has anything to do.
  await writeFiles(base, {
    'usr/sbin/ldconfig': '#!/bin/sh\n',
    'usr/sbin/start-stop-daemon': '#!/bin/sh\n',
    'etc/group': 'root:x:0:\nshadow:x:42:\n',
  });
  for (const link of ['bin', 'sbin', 'lib', 'lib64']) await execute('rm', ['-f', join(base, link)]);
  await build({ name: 'tiny-base' }, { source: base, directory, essential: true });
  await writeIndex(directory, {});
  return {
    directory,
    add: async (entry) => {
      const source = hostPath(join(work, entry.name));
      await execute('rm', ['-rf', source]);
      await writeFiles(source, entry.files ?? {});
      await build(entry, { source, directory, essential: false });
      await writeIndex(directory, {});
    },
    release: (fields) => writeIndex(directory, fields),
  };
}

interface Building {
  readonly source: HostPath;
  readonly directory: HostPath;
  readonly essential: boolean;
}

async function build(
  { name, version = '1' }: TinyPackage,
  { source, directory, essential }: Building,
): Promise<void> {
  const fields = {
    ...{ Package: name, Version: version, Architecture: architecture },
    ...(essential ? { Essential: 'yes' } : {}),
    ...{ Maintainer: 'T <t@mkimg.example>', Description: 'test' },
  };
  const control = Object.entries(fields).map(([field, value]) => `${field}: ${value}\n`);
  await mkdir(join(source, 'DEBIAN'), { recursive: true });
  await writeFile(join(source, 'DEBIAN/control'), control.join(''));
  const target = join(directory, 'pool', `${name}.deb`);
  await execute('dpkg-deb', ['-Zgzip', '-z1', '--root-owner-group', '--build', source, target]);
}

async function writeIndex(directory: string, fields: Readonly<Record<string, string>>): Promise<void> {
  const entries: string[] = [];
  for (const name of (await readdir(join(directory, 'pool'))).sort()) {
    const data = await readFile(join(directory, 'pool', name));
    const { stdout } = await execute('dpkg-deb', ['--field', join(directory, 'pool', name)]);
    entries.push(`${stdout}Filename: pool/${name}\nSize: ${data.length}\nSHA256: ${sha256(data)}\n\n`);
  }
  const text = entries.join('');
  const index = `main/binary-${architecture}/Packages`;
  const release = {
    Suite: 'test',
    Codename: 'test',
    Architectures: architecture,
    Components: 'main',
    ...fields,
  };
  const lines = Object.entries(release).map(([name, value]) => `${name}: ${value}\n`);
  await writeFiles(hostPath(join(directory, 'dists/test')), {
    [index]: text,
    Release: `${lines.join('')}SHA256:\n ${sha256(text)} ${Buffer.byteLength(text)} ${index}\n`,
  });
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** A project's sandbox tree with the sources of such a repository; unsigned ones are trusted. */
export function tinySources(uri: string, more: readonly string[] = ['Trusted: yes']): Record<string, string> {
  const lines = ['Types: deb', `URIs: ${uri}`, 'Suites: test', 'Components: main', ...more];
  return { 'mkimg.sandbox/etc/apt/sources.list.d/mkimg.sources': `${lines.join('\n')}\n` };
}

/** Another copy of the repository, to be damaged. */
export async function copyOf({ directory }: TinyDistribution, target: string): Promise<HostPath> {
  for (const part of ['dists', 'pool'])
    await cp(join(directory, part), join(target, part), { recursive: true });
  return hostPath(target);
}
