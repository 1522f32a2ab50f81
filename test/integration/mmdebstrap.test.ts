import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { parseDpkgStatus } from '../../src/distro/dpkg-status.ts';
import { defaultEpoch } from '../../src/plan/image.ts';
import { openRepositorySet } from '../../src/steps/apt/repository-set.ts';
import { debianSet } from '../helpers/apt-bench.ts';
import type { ArchiveEntry } from '../helpers/archive-listing.ts';
import { listArchive } from '../helpers/archive-listing.ts';
import { mkimg } from '../helpers/cli.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';
import { writeFiles } from '../helpers/project.ts';
import { buildTools } from '../helpers/tools.ts';

const execute = promisify(execFile);
const repository = resolve(import.meta.dirname, '../..');
const packages = ['systemd-sysv', 'udev', 'dbus', 'kmod', 'openssh-server', 'linux-image-cloud-amd64'];

type Side = 'mkimg' | 'mmdebstrap' | 'both';

/**
 * What differs on purpose between the trees: the tree that has it, or both where the files differ. Everything else that
 * differs is a fault.
 */
const intended: readonly (readonly [side: Side, paths: RegExp, reason: string])[] = [
  ['both', /^etc\/machine-id$/, 'says `uninitialized`, so that the first boot is one'],
  ['mkimg', /^var\/lib\/dbus\/machine-id$/, "dbus's tmpfiles.d makes the link to it"],
  ['mkimg', /^usr\/lib\/clock-epoch$/, 'systemd takes its date where the clock is older'],
  ['mmdebstrap', /^boot\/vmlinu[xz]-/, 'moved to usr/lib/modules, where newer distributions have it'],
  ['mkimg', /^usr\/lib\/modules\/[^/]+\/vmlinuz$/, 'moved here'],
  ['both', /^vmlinuz(\.old)?$/, 'lead to where the kernel was moved'],
  ['both', /^usr\/lib\/udev\/hwdb\.bin$/, 'names its sources by the path that they had when it was made'],
  ['mkimg', /^etc\/systemd\/(system|user)\//, 'presets are applied to all units, as mkosi does'],
  ['mmdebstrap', /^etc\/ssh\/ssh_host_/, 'every machine would have these keys; each makes its own'],
  ['mmdebstrap', /^etc\/(fstab|hostname|resolv\.conf)$/, 'copied from the host, or made up'],
  ['mmdebstrap', /^(dev|run)\//, 'belongs to the running system'],
  ['mmdebstrap', /^etc\/(\.pwd\.lock|(group|gshadow|passwd|shadow)-)$/, 'locks and backups of the build'],
  ['mmdebstrap', /^var\/cache\/debconf\/.*-old$/, 'backups of the build'],
  [
    'mmdebstrap',
    /^var\/lib\/dpkg\/(.*-old|lock|lock-frontend|triggers\/Lock)$/,
    'locks and backups of the build',
  ],
  ['mmdebstrap', /^var\/lib\/dpkg\/arch$/, 'says what dpkg knows: there is one architecture'],
  ['mkimg', /^var\/lib\/dpkg\/available$/, 'made by dpkg, empty'],
  ['both', /^var\/lib\/dpkg\/triggers\/File$/, 'has its lines in the order in which packages were unpacked'],
  ['mmdebstrap', /^(etc|var\/cache|var\/lib|var\/log)\/apt(\/|$)/, 'APT is not installed'],
];

let scratch: TemporaryDirectory;
const at = (name: string): string => join(scratch.path, name);

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'mkimg-peer-');
  await chmod(scratch.path, 0o755);
  const configuration = ['[Distribution]', 'Distribution=debian', 'Release=trixie'];
  configuration.push('[Output]', 'Format=tar', 'CompressOutput=none', 'SplitArtifacts=');
  configuration.push('[Content]', 'Initrds=');
  configuration.push(`Packages=${packages.join(' ')}`, 'CleanPackageMetadata=no', '');
  await writeFiles(scratch.path, { 'project/mkimg.conf': configuration.join('\n') });
});
afterAll(() => scratch[Symbol.asyncDispose]());

describe.skipIf(!isRoot)('a tree of Debian trixie (needs root)', () => {
  beforeAll(async () => {
    await mkdir(at('mine'));
    const argv = ['-C', at('project'), '--output-directory', at('mine'), 'build'];
    const [{ code, stderr }] = await Promise.all([mkimg(argv), bootstrap(at('peer.tar'))]);
    if (code !== 0) throw new Error(stderr);
    await mkdir(at('tree'));
    await execute('tar', ['-C', at('tree'), '-xf', at('mine/image.tar')]);
  });

  it('has the packages that mmdebstrap installs', async () => {
    const peer = await execute('tar', ['-xOf', at('peer.tar'), './var/lib/dpkg/status'], {
      maxBuffer: 1 << 26,
    });
    const mine = await execute('cat', [at('tree/var/lib/dpkg/status')], { maxBuffer: 1 << 26 });
    const [wanted, installed] = [peer.stdout, mine.stdout].map((text) =>
      parseDpkgStatus(text)
        .map(({ name, version, state }) => `${name} ${version} ${state}`)
        .sort(),
    );
    expect(wanted?.length).toBeGreaterThan(80);
    expect(installed).toEqual(wanted);
  });

  it('has the same files, but for what is meant to differ', async () => {
    const [mine, peer] = [await listArchive(at('mine/image.tar')), await listArchive(at('peer.tar'))];
    expect(mine.size).toBeGreaterThan(8000);
    const differing = [...new Set([...mine.keys(), ...peer.keys()])]
      .filter((path) => JSON.stringify(mine.get(path)) !== JSON.stringify(peer.get(path)))
      .sort();
    const sideOf = (path: string): Side =>
      !peer.has(path) ? 'mkimg' : mine.has(path) ? 'both' : 'mmdebstrap';
    const explains = ([side, paths]: (typeof intended)[number], path: string): boolean =>
      side === sideOf(path) && paths.test(path);
    const unexplained = differing.filter((path) => !intended.some((row) => explains(row, path)));
    expect(unexplained.map((path) => ({ path, ...difference(mine.get(path), peer.get(path)) }))).toEqual([]);
    // A row without a file would hide a fault to come.
    expect(intended.filter((row) => !differing.some((path) => explains(row, path)))).toEqual([]);
  });

  it('is whole to dpkg', async () => {
    expect((await execute('dpkg', ['--root', at('tree'), '--audit'])).stdout).toBe('');
    const { stdout } = await execute('dpkg', ['--root', at('tree'), '--verify']);
    const faults = stdout
      .split('\n')
      .filter((line) => line !== '' && !/^missing +\/boot\/vmlinuz-/.test(line));
    expect(faults).toEqual([]);
  });

  it('is the same bit for bit when an ordinary user builds it', async () => {
    const tools = await buildTools();
    if (tools.kind === 'host') throw new Error('no tools tree');
    const prefix = await ordinaryUserPrefix({
      scratch: scratch.path,
      hasSubordinateIds: true,
      binds: { mkimg: repository, tools: tools.path },
    });
    await execute('chown', ['--reference', at('home'), at('project')]);
    const program = [process.execPath, at('mkimg/dist/cli/main.js')];
    const argv = [
      '-C',
      at('project'),
      '--tools-tree',
      at('tools'),
      '--output-directory',
      at('home'),
      'build',
    ];
    const [first = '', ...rest] = [...prefix, ...program, ...argv];
    await execute(first, rest, { maxBuffer: 1 << 26 });
    const [users, roots] = await Promise.all(
      ['home', 'mine'].map((name) => listingOf(at(`${name}/image.tar`))),
    );
    expect(users).toEqual(roots);
    expect(await digestOf(at('home/image.tar'))).toBe(await digestOf(at('mine/image.tar')));
  });
});

async function bootstrap(target: string): Promise<void> {
  const { repositories } = openRepositorySet(await debianSet('trixie'));
  const stanzas = repositories.map(({ uris, suites, components, signedBy }) =>
    [
      'Types: deb',
      `URIs: ${uris.join(' ')}`,
      `Suites: ${suites.join(' ')}`,
      `Components: ${components.join(' ')}`,
      `Signed-By: ${signedBy?.path}`,
      '',
    ].join('\n'),
  );
  await writeFile(at('trixie.sources'), stanzas.join('\n'));
  const options = ['--quiet', '--mode=root', '--variant=essential', `--include=${packages.join(',')}`];
  const noRecommends = '--aptopt=APT::Install-Recommends "false"';
  // The kernel's maintainer scripts shall build no initrd, as in an image; days of passwords shall be those of the epoch.
  const env = { ...process.env, INITRD: 'No', SOURCE_DATE_EPOCH: String(defaultEpoch) };
  await execute('mmdebstrap', [...options, noRecommends, 'trixie', target, at('trixie.sources')], { env });
}

/** What two entries do not have in common. */
function difference(mine: ArchiveEntry | undefined, peer: ArchiveEntry | undefined): object {
  if (mine === undefined || peer === undefined) return { only: mine === undefined ? 'mmdebstrap' : 'mkimg' };
  const names = ['type', 'mode', 'owner', 'target', 'size', 'digest'] as const;
  return Object.fromEntries(
    names.filter((name) => mine[name] !== peer[name]).map((name) => [name, [mine[name], peer[name]]]),
  );
}

/** What tar lists: the quickest way to see where two archives differ. */
async function listingOf(archive: string): Promise<readonly string[]> {
  const argv = ['--list', '--verbose', '--full-time', '--numeric-owner', '--file', archive];
  const { stdout } = await execute('tar', argv, { maxBuffer: 1 << 26 });
  return stdout.split('\n');
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
