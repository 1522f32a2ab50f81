import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { isRoot } from '../helpers/ordinary-user.ts';
import { writeFiles } from '../helpers/project.ts';

const execute = promisify(execFile);
const packaging = resolve(import.meta.dirname, '../../packaging');

/** A directory that package managers take for a system: a shell, and programs that write down how they were called. */
let root: string;
let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp('/var/tmp/test-triggers-');
  root = join(scratch, 'root');
  const { stdout } = await execute('ldd', ['/bin/sh']);
  for (const library of stdout.match(/\/\S+/g) ?? []) await copyTo(library);
  await copyTo('/bin/sh');
  const stub = (name: string): string => `#!/bin/sh\necho "${name} $*" >>/log\n[ ! -e /fails ]\n`;
  for (const [name, command] of [
    ['mkimg', 'mkimg'],
    ['kernel-install', 'kernel-install'],
  ] as const)
    await writeProgram(`usr/bin/${name}`, stub(command));
  await writeFile(join(root, 'log'), '');
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

async function copyTo(file: string): Promise<void> {
  await mkdir(dirname(join(root, file)), { recursive: true });
  await copyFile(file, join(root, file));
}

async function writeProgram(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text, { mode: 0o755 });
}

/** How programs were called since this was asked last. */
async function calls(): Promise<readonly string[]> {
  const text = await readFile(join(root, 'log'), 'utf8');
  await writeFile(join(root, 'log'), '');
  return text.split('\n').filter((line) => line !== '');
}

const refresh = 'mkimg initrd --refresh --quiet';

describe.skipIf(!isRoot)('hooks of pacman (needs root)', () => {
  beforeEach(async () => {
    for (const name of ['90-mkimg-kernels.hook', '95-mkimg-refresh.hook'])
      await writeProgram(
        `usr/share/libalpm/hooks/${name}`,
        await readFile(join(packaging, 'pacman', name), 'utf8'),
      );
    const script = await readFile(join(packaging, 'pacman/mkimg-kernels'), 'utf8');
    await writeProgram('usr/share/libalpm/scripts/mkimg-kernels', script);
    await mkdir(join(root, 'var/lib/pacman'), { recursive: true });
    await writeFile(join(scratch, 'pacman.conf'), '[options]\nSigLevel = Never\nArchitecture = any\n');
  });

  async function pacman(...argv: readonly string[]): Promise<void> {
    await execute('pacman', [
      ...['--root', root, '--dbpath', join(root, 'var/lib/pacman'), '--config', join(scratch, 'pacman.conf')],
      ...['--cachedir', join(scratch, 'cache'), '--logfile', join(scratch, 'pacman.log'), '--noconfirm'],
      ...['--hookdir', join(root, 'usr/share/libalpm/hooks'), ...argv],
    ]);
  }

  async function buildPackage(name: string, version: string, path: string): Promise<string> {
    const directory = join(scratch, `${name}-${version}`);
    const fields = {
      pkgname: name,
      pkgver: version,
      pkgdesc: 'test',
      size: '1',
      arch: 'any',
      builddate: '1',
    };
    const info = Object.entries(fields).map(([field, value]) => `${field} = ${value}\n`);
    await writeFiles(hostPath(directory), { '.PKGINFO': info.join(''), [path]: `${name} ${version}\n` });
    const file = join(scratch, `${name}-${version}-any.pkg.tar`);
    await execute('tar', ['-C', directory, '-cf', file, '.PKGINFO', 'usr']);
    return file;
  }

  const kernel = (version: string): Promise<string> =>
    buildPackage('linux', `${version}-1`, `usr/lib/modules/${version}/vmlinuz`);

  it('install kernels, and remove the old one when the new one is there', async () => {
    await pacman('-U', await kernel('6.1'));
    expect(await calls()).toEqual(['kernel-install add 6.1 /usr/lib/modules/6.1/vmlinuz', refresh]);
    await pacman('-U', await kernel('6.2'));
    expect(await calls()).toEqual([
      'kernel-install add 6.2 /usr/lib/modules/6.2/vmlinuz',
      'kernel-install remove 6.1',
      refresh,
    ]);
    await pacman('-R', 'linux');
    expect(await calls()).toEqual(['kernel-install remove 6.2', refresh]);
  });

  it('let the old kernel stand when the new one cannot be installed', async () => {
    await pacman('-U', await kernel('6.1'));
    await calls();
    await writeFile(join(root, 'fails'), '');
    await pacman('-U', await kernel('6.2'));
    expect(await calls()).toEqual(['kernel-install add 6.2 /usr/lib/modules/6.2/vmlinuz', refresh]);
  });

  it('refresh initrds once for each transaction that changes programs or drivers', async () => {
    const [first, second] = [
      await buildPackage('first', '1-1', 'usr/lib/firmware/a.bin'),
      await buildPackage('second', '1-1', 'usr/bin/b'),
    ];
    await pacman('-U', first, second);
    expect(await calls()).toEqual([refresh]);
    await pacman('-U', await buildPackage('text', '1-1', 'usr/share/doc/text'));
    expect(await calls()).toEqual([]);
    await pacman('-R', 'first');
    expect(await calls()).toEqual([refresh]);
  });
});

describe.skipIf(!isRoot)('file triggers of RPM (need root)', () => {
  async function buildRpm(name: string, path: string, more = ''): Promise<string> {
    const spec = join(scratch, `${name}.spec`);
    await writeFile(
      spec,
      `Name: ${name}
Version: 1
Release: 1
Summary: test
License: MIT
BuildArch: noarch
AutoReqProv: no
%description
test
%install
mkdir -p %{buildroot}$(dirname ${path})
echo ${name} >%{buildroot}${path}
%files
${path}
${more}`,
    );
    const define = ['--define', `_topdir ${scratch}/build`, '--define', `_rpmdir ${scratch}/rpms`];
    await execute('rpmbuild', ['-bb', '--quiet', ...define, spec]);
    return join(scratch, `rpms/noarch/${name}-1-1.noarch.rpm`);
  }

  async function rpm(...argv: readonly string[]): Promise<void> {
    await execute('rpm', ['--root', root, '--dbpath', '/var/lib/rpm', '--nodeps', ...argv]);
  }

  it('refresh initrds once for each transaction that changes programs or drivers', async () => {
    const triggers = `%include ${join(packaging, 'rpm/triggers.spec-part')}\n`;
    await mkdir(join(root, 'var/lib/rpm'), { recursive: true });
    await rpm('-i', await buildRpm('mkimg', '/usr/share/mkimg/file', triggers));
    await calls();
    await rpm(
      '-i',
      await buildRpm('first', '/usr/lib/firmware/a.bin'),
      await buildRpm('second', '/usr/bin/b'),
    );
    expect(await calls()).toEqual([refresh]);
    await rpm('-i', await buildRpm('text', '/usr/share/doc/text'));
    expect(await calls()).toEqual([]);
    await rpm('-e', 'first', 'second');
    expect(await calls()).toEqual([refresh]);
  });
});
