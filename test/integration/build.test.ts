import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import type { CliResult } from '../helpers/cli.ts';
import { mkimg } from '../helpers/cli.ts';
import { isRoot } from '../helpers/ordinary-user.ts';
import { buildTools } from '../helpers/tools.ts';

const execute = promisify(execFile);
const bytes = 1 << 28;
const minimal = resolve(import.meta.dirname, '../../images/minimal');
const formats = ['disk', 'uki', 'cpio', 'tar', 'directory'] as const;
type Format = (typeof formats)[number];

let scratch: TemporaryDirectory;
const at = (format: Format, name = ''): string => join(scratch.path, format, name);

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'mkimg-build-');
  await mkdir(join(scratch.path, 'work'));
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** Builds images/minimal in this format, with sums and a list of packages. */
async function build(
  format: Format,
  more: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const flags = [`--format=${format}`, `--output-directory=${at(format)}`, '--checksum=yes'];
  const argv = ['-C', minimal, ...flags, '--manifest-format=json', ...more, 'build'];
  const result = await mkimg(argv, { env });
  if (result.code !== 0) throw new Error(`${argv.join(' ')} failed:\n${result.stderr}`);
  return result;
}

async function lines(program: string, argv: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await execute(program, argv, { maxBuffer: bytes });
  return stdout.split('\n').filter((line) => line !== '');
}

/** Runs a program of the tools tree that sees the outputs at /outputs and may write to /work. */
async function withTools(tool: string, ...argv: readonly string[]): Promise<string> {
  const sandbox = createSandbox({ mode: 'root', tools: await buildTools(), events: silentEvents });
  const { stdout } = await sandbox.run({
    tool,
    argv,
    mounts: [
      { source: scratch.path, target: '/outputs', mode: 'ro' },
      { source: hostPath(join(scratch.path, 'work')), target: '/work', mode: 'rw' },
    ],
    env: { MTOOLSRC: '/dev/null' },
    stdout: 'capture',
    purpose: 'looking at the result',
  });
  return stdout;
}

/** SHA256SUMS as file name to digest. */
async function sumsOf(format: Format): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(at(format, 'minimal.SHA256SUMS'), 'utf8');
  return new Map(
    [...text.matchAll(/^([0-9a-f]{64}) [ *](.+)$/gm)].map(([, sum, name]) => [name ?? '', sum ?? '']),
  );
}

describe.skipIf(!isRoot)('images/minimal (needs root)', () => {
  beforeAll(async () => {
    for (const format of formats) {
      await mkdir(at(format));
      await build(format);
    }
  });

  it.each([
    ['disk', ['minimal.efi', 'minimal.initrd', 'minimal.manifest', 'minimal.raw', 'minimal.vmlinuz']],
    ['uki', ['minimal.efi', 'minimal.initrd', 'minimal.manifest', 'minimal.vmlinuz']],
    ['cpio', ['minimal.cpio.zst', 'minimal.manifest', 'minimal.vmlinuz']],
    ['tar', ['minimal.initrd', 'minimal.manifest', 'minimal.tar.zst', 'minimal.vmlinuz']],
    ['directory', ['minimal.initrd', 'minimal.manifest', 'minimal.vmlinuz']],
  ] as const)('as %s comes with sums that are right', async (format, files) => {
    expect([...(await sumsOf(format)).keys()].sort()).toEqual(files);
    expect((await readdir(at(format))).sort()).toEqual(['minimal', 'minimal.SHA256SUMS', ...files].sort());
    await execute('sha256sum', ['--check', '--strict', 'minimal.SHA256SUMS'], { cwd: at(format) });
  });

  it('is a disk with the partitions that sfdisk reads and the UKI that lies beside it', async () => {
    const { stdout } = await execute('sfdisk', ['--json', at('disk', 'minimal.raw')]);
    const { partitiontable: table } = JSON.parse(stdout) as {
      partitiontable: {
        label: string;
        sectorsize: number;
        partitions: { start: number; type: string; name: string }[];
      };
    };
    expect([table.label, table.sectorsize]).toEqual(['gpt', 512]);
    expect(table.partitions.map(({ type, name }) => [type, name])).toEqual([
      ['C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 'esp'],
      ['4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709', 'root-x86-64'],
    ]);
    const esp = `/outputs/disk/minimal.raw@@${(table.partitions[0]?.start ?? 0) * table.sectorsize}`;
    const listed = (await withTools('mdir', '-b', '-/', '-i', esp)).split('\n');
    const [uki = '', ...others] = listed.filter(
      (name) => name.startsWith('::/EFI/Linux/') && name.endsWith('.efi'),
    );
    expect(others).toEqual([]);
    await withTools('mcopy', '-n', '-i', esp, uki, '/work/from-esp');
    expect(await lines('cmp', [join(scratch.path, 'work/from-esp'), at('disk', 'minimal.efi')])).toEqual([]);
  });

  it.each(['disk', 'uki'] as const)(
    'has a UKI of its own kernel and initrd, as ukify reads it (%s)',
    async (format) => {
      const text = await withTools('ukify', '--json=short', 'inspect', `/outputs/${format}/minimal.efi`);
      const sections = JSON.parse(text) as Record<string, { sha256: string; text?: string }>;
      const sums = await sumsOf(format);
      expect(sections['.linux']?.sha256).toBe(sums.get('minimal.vmlinuz'));
      expect(sections['.initrd']?.sha256).toBe(sums.get('minimal.initrd'));
      const [kernel] = await readdir(at('directory', 'minimal/usr/lib/modules'));
      expect(sections['.uname']?.text).toBe(kernel);
      expect(sections['.osrel']?.text).toContain('\nVERSION_CODENAME=trixie\n');
      expect(sections['.osrel']?.text).toContain('IMAGE_ID="minimal"');
      expect(sections['.cmdline']?.text).toMatch(/(^| )quiet( |$)/);
    },
  );

  it('has the same files as cpio, tar and directory', async () => {
    const unpacked = await lines('find', [at('directory', 'minimal'), '-mindepth', '1', '-printf', '%P\\n']);
    const archived = await lines('tar', ['--zstd', '-tf', at('tar', 'minimal.tar.zst')]);
    const listed = await lines('sh', [
      '-c',
      'zstd -dc "$0" | cpio --quiet -t',
      at('cpio', 'minimal.cpio.zst'),
    ]);
    const names = (paths: readonly string[]): string[] =>
      paths
        .map((path) => path.replace(/^\.\/?|\/$/g, ''))
        .filter((path) => path !== '')
        .sort();
    expect(unpacked.length).toBeGreaterThan(3000);
    expect(names(archived)).toEqual(names(unpacked));
    // The kernel wants to be told what to start.
    expect(names(listed).filter((path) => path !== 'init')).toEqual(names(unpacked));
    expect(names(listed)).toContain('init');
  });

  it('lists the packages that are installed, also where their records are removed', async () => {
    const packagesIn = async (): Promise<readonly string[]> => {
      const { packages } = JSON.parse(await readFile(at('tar', 'minimal.manifest'), 'utf8')) as {
        packages: { type: string; name: string; version: string; architecture: string }[];
      };
      return packages.map(({ name, version, architecture }) => `${name} ${version} ${architecture}`);
    };
    const removed = await packagesIn();
    expect(await lines('tar', ['--zstd', '-tf', at('tar', 'minimal.tar.zst')])).not.toContain(
      './var/lib/dpkg/status',
    );
    await build('tar', ['--clean-package-metadata=no', '--compress-output=no']);
    const root = join(scratch.path, 'records');
    await mkdir(root);
    await execute('tar', ['-C', root, '-xf', at('tar', 'minimal.tar'), './var/lib/dpkg']);
    const format = '${Package} ${Version} ${Architecture}\\n';
    const known = await lines('dpkg-query', [`--admindir=${root}/var/lib/dpkg`, '-W', '-f', format]);
    expect([...removed].sort()).toEqual([...known].sort());
    expect(await packagesIn()).toEqual(removed);
    expect(removed.join('\n')).toMatch(/^linux-image-\S*cloud-amd64 /m);
  });

  it('is up to date afterwards, which starts nothing and takes little time', async () => {
    const trap = join(scratch.path, 'no-processes.cjs');
    // Whether a namespace can be had is found out by having one; everything else needs no process.
    await writeFile(
      trap,
      `const processes = require('node:child_process');
const { spawn } = processes.ChildProcess.prototype;
processes.ChildProcess.prototype.spawn = function (options) {
  if (options.args.at(-1) !== 'true') throw new Error('a process was started');
  return spawn.call(this, options);
};
`,
    );
    const trapped = { NODE_OPTIONS: `--require=${trap}` };
    const times: number[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const started = performance.now();
      const { events } = await build('disk', [], trapped);
      times.push(performance.now() - started);
      expect(events.filter(({ type }) => type === 'step-started' || type === 'command')).toEqual([]);
      const states = events.flatMap((event) => (event.type === 'artifact' ? [event.state] : []));
      expect(states).toEqual(Array.from(await sumsOf('disk'), () => 'unchanged'));
    }
    expect(Math.min(...times)).toBeLessThan(1500);
    // The trap works: with something to do a process is needed.
    await expect(build('disk', ['-f'], trapped)).rejects.toThrow('a process was started');
  });

  it('comes out the same bit for bit when it is made again', async () => {
    const first = await sumsOf('disk');
    const again = await build('disk', ['-f']);
    const started = (result: CliResult): readonly string[] =>
      result.events.flatMap((event) => (event.type === 'step-started' ? [event.step] : []));
    expect(started(again)).toContain('main/build-disk');
    expect(started(again)).not.toContain('main/install-packages');
    expect(await sumsOf('disk')).toEqual(first);
    const anew = await build('disk', ['-ff']);
    expect(started(anew)).toContain('main/install-packages');
    expect(started(anew)).toContain('default-initrd/install-packages');
    expect(await sumsOf('disk')).toEqual(first);
    await execute('sha256sum', ['--check', '--strict', 'minimal.SHA256SUMS'], { cwd: at('disk') });
  });
});
