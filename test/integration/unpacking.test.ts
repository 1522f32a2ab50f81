import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { Resources } from '../../src/base/disposal.ts';
import { nativeArchitecture } from '../../src/distro/architectures/index.ts';
import { mountOverlay } from '../../src/sandbox/overlay.ts';
import { installPackages } from '../../src/steps/install-packages.ts';
import { selectBase } from '../../src/steps/select-base.ts';
import { unpackPackages } from '../../src/steps/unpack-packages.ts';
import { AptBench, buildPackage, debianSet } from '../helpers/apt-bench.ts';
import { isRoot } from '../helpers/ordinary-user.ts';

const execute = promisify(execFile);
const architecture = nativeArchitecture();

/** Packages that ask dpkg for all that an unpacker has to get right. */
const packages = {
  'with-conffile': {
    'etc/with-conffile.conf': 'setting\n',
    'DEBIAN/conffiles': '/etc/with-conffile.conf\nremove-on-upgrade /etc/earlier.conf\n',
    // Finds its own configuration where it belongs, and not before.
    'DEBIAN/preinst': '#!/bin/sh\n[ ! -e /etc/with-conffile.conf ]\n',
    'DEBIAN/postinst':
      '#!/bin/sh\ngrep -q setting /etc/with-conffile.conf && chmod 600 /etc/with-conffile.conf\n',
  },
  'is-diverted': { 'usr/bin/diverted': '#!/bin/sh\necho theirs\n' },
  'a-diverter': {
    'DEBIAN/preinst':
      '#!/bin/sh\ndpkg-divert --package a-diverter --add --rename --divert /usr/bin/diverted.real /usr/bin/diverted\n',
    'DEBIAN/postinst': '#!/bin/sh\nln -sf true /usr/bin/diverted\n',
  },
  'is-told': {
    'DEBIAN/triggers': 'interest-noawait /usr/share/told\ninterest named-trigger\n',
    'DEBIAN/postinst': '#!/bin/sh\nls /usr/share/told >/usr/share/told-of\n',
  },
  tells: {
    'usr/share/told/news': 'news\n',
    // debianutils, of the base set, wants to be told of these.
    'usr/share/debianutils/shells.d/tells': '/usr/bin/tells\n',
    'DEBIAN/triggers': 'activate named-trigger\n',
  },
  alternative: {
    'usr/bin/one': '#!/bin/sh\n',
    'DEBIAN/postinst': '#!/bin/sh\nupdate-alternatives --install /usr/bin/either either /usr/bin/one 10\n',
  },
} as const;

let scratch: HostPath;
let bench: AptBench;
let resolved: HostPath;
let plain: HostPath;
let base: HostPath;
let rest: HostPath;
let linked: HostPath;

describe.skipIf(!isRoot)('packages that are linked into a tree (needs root)', () => {
  const mounts = new Resources();

  beforeAll(async () => {
    scratch = hostPath(await mkdtemp('/var/tmp/mkimg-unpacking-'));
    await chmod(scratch, 0o755);
    bench = new AptBench(scratch, 'root');
    const source = await place('source');
    const files: HostPath[] = [];
    for (const [name, content] of Object.entries(packages)) {
      files.push(await buildPackage(source, { Package: name }, content));
    }
    resolved = await bench.resolve(await debianSet('trixie'), { names: files });
    plain = await place('plain');
    await bench.install(resolved, plain);
    // As plans have it: the base set is unpacked and set up, then all else.
    const selected = hostPath(join(scratch, 'base-set'));
    await selectBase.run({ resolved: { path: resolved, meta: null } }, selected, await bench.context());
    const inputs = { architecture, documentation: true };
    const ofBase = { ...inputs, resolved: { path: selected, meta: null } };
    const ofAll = { ...inputs, resolved: { path: resolved, meta: null } };
    const more = { bootable: true, environment: {} };
    base = await place('base');
    await unpackPackages.run(ofBase, base, await bench.context());
    const [baseChanges, baseTree] = await overlay('base', [base]);
    const setUpBase = { ...ofBase, ...more, base: { root: baseTree }, triggersLater: true as const };
    await installPackages.run(setUpBase, baseTree, await bench.context());
    rest = await place('rest');
    await unpackPackages.run({ ...ofAll, base: { root: baseTree } }, rest, await bench.context());
    [, linked] = await overlay('rest', [rest, baseChanges, base]);
    await installPackages.run({ ...ofAll, ...more, base: { root: linked } }, linked, await bench.context());
  });
  afterAll(async () => {
    await mounts[Symbol.asyncDispose]();
    await rm(scratch, { recursive: true, force: true });
  });

  /** Directory of the changes, and where the tree is. */
  async function overlay(name: string, lowers: readonly HostPath[]): Promise<[HostPath, HostPath]> {
    const [upper, work, target] = [
      await place(`${name}-upper`),
      await place(`${name}-work`),
      await place(`${name}-tree`),
    ];
    mounts.use(await mountOverlay({ lowers, upper, work, target }));
    return [upper, target];
  }

  it('links each package in one of the two trees', async () => {
    const packages = ['with-conffile', 'is-told', 'tells', 'alternative'];
    expect(await readdir(join(rest, 'var/lib/dpkg/info'))).toEqual(
      expect.arrayContaining(packages.map((name) => `${name}.list`)),
    );
    expect(await readdir(join(base, 'var/lib/dpkg/info'))).toContain('bash.list');
    expect(await readdir(join(rest, 'var/lib/dpkg/info'))).not.toContain('bash.list');
  });

  it('gives the database that dpkg writes when it unpacks them itself', async () => {
    const [mine, theirs] = [await database(linked), await database(plain)];
    expect([...mine.keys()]).toEqual([...theirs.keys()]);
    for (const [name, text] of theirs) expect([name, mine.get(name)]).toEqual([name, text]);
  });

  it('gives the same files', async () => {
    expect(await listing(linked)).toEqual(await listing(plain));
    expect(await readFile(join(linked, 'usr/bin/diverted.real'), 'utf8')).toContain('theirs');
    expect(await readFile(join(linked, 'usr/share/told-of'), 'utf8')).toBe('news\n');
    expect(await readFile(join(linked, 'etc/shells'), 'utf8')).toContain('/usr/bin/tells\n');
    expect((await stat(join(linked, 'etc/with-conffile.conf'))).mode & 0o777).toBe(0o600);
  });

  it('is whole to dpkg', async () => {
    expect((await execute('chroot', [linked, 'dpkg', '--audit'])).stdout).toBe('');
    expect((await execute('chroot', [linked, 'dpkg', '--verify'])).stdout).toBe('');
  });

  it('changes nothing in the tree of links', async () => {
    const inode = (await stat(join(base, 'usr/bin/bash'))).ino;
    const parts = await readdir(join(scratch, 'parts'));
    const inodes = await Promise.all(
      parts.map((part) => stat(join(scratch, 'parts', part, 'data/usr/bin/bash')).catch(() => undefined)),
    );
    expect(inodes.some((stats) => stats?.ino === inode)).toBe(true);
    // The maintainer script changed its mode: in the overlay, not in the file that all trees share.
    expect((await stat(join(rest, 'etc/with-conffile.conf.dpkg-new'))).mode & 0o777).toBe(0o755);
  });
});

async function place(name: string): Promise<HostPath> {
  const path = hostPath(join(scratch, name));
  await mkdir(path, { mode: 0o755 });
  return path;
}

/** The files of dpkg's database by name; lines of lists of triggers sorted, which follow the order of unpacking. */
async function database(root: HostPath): Promise<ReadonlyMap<string, string>> {
  const directory = join(root, 'var/lib/dpkg');
  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((name) => !/(^|\/)(.*-old|lock|lock-frontend|Lock|available)$/.test(name))
    .sort();
  const entries = files.map(async (name): Promise<[string, string]> => {
    const text = await readFile(join(directory, name), 'latin1');
    return [name, name.startsWith('triggers/') ? text.split('\n').sort().join('\n') : text];
  });
  return new Map(await Promise.all(entries));
}

/** Types, modes, owners, sizes and links of all files, without those that hold a date or a count of runs. */
async function listing(root: HostPath): Promise<readonly string[]> {
  const format = '%P %y %m %U:%G %l %s\\n';
  const { stdout } = await execute(
    'find',
    [root, '-type', 'd', '-printf', '%P %y %m %U:%G\\n', '-o', '-printf', format],
    {
      maxBuffer: 1 << 26,
    },
  );
  const varying =
    /^(dev|run|proc|sys|tmp|var\/(cache|log|lib\/dpkg))(\/| )|^etc\/[a-z-]*(passwd|group|shadow)-? /;
  return stdout
    .split('\n')
    .filter((line) => !varying.test(line))
    .sort();
}
