import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { openSource } from '../../src/formats/bytes.ts';
import { scanInitrd } from '../../src/formats/initrd.ts';
import { firmwareNames } from '../../src/formats/kmod.ts';
import { readModuleInfo } from '../../src/formats/module-info.ts';
import { reportOn } from '../../src/initrd/check.ts';
import { hostFacts } from '../../src/initrd/host/facts.ts';
import { readKernelIndexes } from '../../src/initrd/modules/kernel-indexes.ts';
import type { InitrdMode } from '../../src/initrd/modules/modes.ts';
import { writeModulesSegment } from '../../src/initrd/modules/segment.ts';
import type { ModuleSelection } from '../../src/initrd/modules/select.ts';
import { selectForInitrd } from '../../src/initrd/modules/select.ts';
import { unpackInitrd } from '../../src/initrd/unpack.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import { treeAt } from '../../src/sandbox/tree.ts';
import { mkimg } from '../helpers/cli.ts';
import { isRoot } from '../helpers/ordinary-user.ts';
import { project } from '../helpers/project.ts';

const execute = promisify(execFile);
const epoch = 1_700_000_000;

let source: TemporaryDirectory;
let scratch: TemporaryDirectory;
let root: HostPath;
let version: string;
let count = 0;

async function workDirectory(): Promise<HostPath> {
  const work = hostPath(join(scratch.path, `work${count++}`));
  await mkdir(work);
  return work;
}

const sandbox = createSandbox({ mode: 'root', tools: { kind: 'host' }, events: silentEvents });

async function select(mode: InitrdMode): Promise<ModuleSelection> {
  return selectForInitrd(
    { root, kernelVersion: version, mode, patterns: [], profiles: [], host: hostFacts() },
    { work: await workDirectory(), sandbox, jobs: 2 },
  );
}

async function segmentOf(selection: ModuleSelection): Promise<HostPath> {
  const work = await workDirectory();
  const target = hostPath(join(work, 'segment'));
  const signal = new AbortController().signal;
  await writeModulesSegment({ selection, epoch, target }, { work, sandbox, signal });
  return target;
}

/** A program of the tree itself. */
async function inTree(...argv: readonly string[]): Promise<string> {
  const { stdout } = await execute('chroot', [root, ...argv], { maxBuffer: 1 << 26 });
  return stdout;
}

/** What modprobe would load for each of some modules, as paths below the module directory. */
async function modprobed(names: readonly string[], directory = '/'): Promise<readonly string[]> {
  const variables = [`directory=${directory}`, `version=${version}`];
  const script = 'for name; do modprobe -d "$directory" -S "$version" -D "$name"; done';
  const text = await inTree('env', ...variables, 'sh', '-c', script, 'sh', ...names);
  return text.split('\n').flatMap((line) => /^insmod \S*\/modules\/[^/]+\/(\S+)/.exec(line)?.[1] ?? []);
}

describe.skipIf(!isRoot)('modules of a Debian kernel (needs root)', () => {
  beforeAll(async () => {
    scratch = await temporaryDirectory('/var/tmp', 'mkimg-initrd-modules-');
    source = await project({
      'mkimg.conf': [
        '[Distribution]\nDistribution=debian\nRelease=trixie',
        '[Output]\nFormat=directory\nOutput=tree',
        '[Content]\nPackages=\n    kmod\n    linux-image-amd64\nWithDocs=no\n',
      ].join('\n'),
    });
    const { code, stderr } = await mkimg(['-C', source.path, 'build']);
    if (code !== 0) throw new Error(`the tree cannot be built:\n${stderr}`);
    root = hostPath(join(source.path, 'tree'));
    [version = ''] = await readdir(join(root, 'usr/lib/modules'));
  });
  afterAll(async () => {
    await source[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });

  it('ask for the firmware that modinfo names', async () => {
    const { modules } = await readKernelIndexes(treeAt(root), version);
    const sample = [...modules.values()].filter((_, index) => index % 16 === 0);
    const base = `/usr/lib/modules/${version}`;
    const script = `cd ${base}; for file; do modinfo -F firmware "$file" | sed "s|^|$file |"; done`;
    const expected = await inTree('sh', '-c', script, 'sh', ...sample.map(({ path }) => path));
    const found: string[] = [];
    for (const { path } of sample) {
      const content = await readFile(join(root, base, path));
      for (const name of firmwareNames((await readModuleInfo(path, content)) ?? []))
        found.push(`${path} ${name}`);
    }
    expect(found).toEqual(expected.split('\n').filter((line) => line !== ''));
    expect(found.length).toBeGreaterThan(20);
  });

  it.each(['generic', 'host-plus'] as const)('have all that modprobe would load: %s', async (mode) => {
    const selection = await select(mode);
    const paths = selection.modules.map(({ module }) => module.path);
    const loaded = await modprobed(selection.modules.map(({ module }) => module.name));
    expect(loaded.length).toBeGreaterThan(40);
    expect(loaded.filter((path) => !paths.includes(path))).toEqual([]);
  });

  it('become a segment that the kernel and cpio read, always the same', async () => {
    const [asked] = (await inTree('modinfo', '-k', version, '-F', 'firmware', 'qla2xxx')).split('\n');
    const firmware = join(root, 'usr/lib/firmware', asked ?? '');
    await mkdir(dirname(firmware), { recursive: true });
    await writeFile(firmware, 'firmware');
    const selection = await select('generic');
    expect(selection.firmware).toMatchObject([{ requestedBy: ['qla2xxx'] }]);
    const segment = await segmentOf(selection);
    expect((await readFile(segment)).equals(await readFile(await segmentOf(await select('generic'))))).toBe(
      true,
    );
    using bytes = openSource(segment);
    const { segments, faults } = scanInitrd(bytes);
    expect(faults).toEqual([]);
    expect(segments.map(({ encoding, offset }) => [encoding, offset % 512])).toEqual([
      ['none', 0],
      ['zstd', 0],
    ]);
    using unpacked = await unpackInitrd({
      initrd: segment,
      segments,
      scratch: await workDirectory(),
      sandbox,
    });
    const report = reportOn(unpacked, faults);
    expect(report.faults.filter(({ message }) => !message.startsWith('there is no /init'))).toEqual([]);
    expect(report.nodes.has(`usr/lib/firmware/${asked ?? ''}`)).toBe(true);

    // From the unpacked segment alone modprobe finds all of them.
    const inside = join(root, 'unpacked');
    await mkdir(inside);
    const [raw, packed] = segments.map(({ offset, size }) => `tail -c +${offset + 1} "$2" | head -c ${size}`);
    const script = `cd "$1" && { ${raw}; } | cpio -idm --quiet && { ${packed}; } | zstd -dc | cpio -idmu --quiet`;
    await execute('sh', ['-c', `${script} && ln -s usr/lib lib`, 'sh', inside, segment]);
    const names = selection.modules.map(({ module }) => module.name);
    const there = selection.modules.map(({ module }) => module.path);
    const loaded = await modprobed(names, '/unpacked');
    expect(new Set(loaded)).toEqual(new Set(there));
  });
});
