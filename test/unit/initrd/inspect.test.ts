import { spawnSync } from 'node:child_process';
import { linkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../src/base/canonical.ts';
import { sha256 } from '../../../src/base/canonical.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { inspectionText } from '../../../src/cli/inspect-text.ts';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { scanInitrd } from '../../../src/formats/initrd.ts';
import type { NewcEntry } from '../../../src/formats/newc.ts';
import { fileType, writeNewc } from '../../../src/formats/newc.ts';
import { reportOn } from '../../../src/initrd/check.ts';
import type { Inspection } from '../../../src/initrd/inspect.ts';
import { inspect } from '../../../src/initrd/inspect.ts';
import { recognize } from '../../../src/initrd/recognize.ts';
import type { KnownSegment, SegmentRole } from '../../../src/initrd/segment-cache.ts';

const modules = 'usr/lib/modules/6.1';

/** An archive of files, by path, with the directories that they take. */
async function archive(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const directories = new Set<string>();
  for (const path of Object.keys(files))
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1))
      directories.add(path.slice(0, at));
  const common = { uid: 0, gid: 0, mtime: 0 };
  const entries: NewcEntry[] = [
    ...[...directories].map((path) => ({
      ...common,
      path: Buffer.from(path),
      mode: fileType.directory | 0o755,
    })),
    ...Object.entries(files).map(([path, content]) => ({
      ...{
        ...common,
        path: Buffer.from(path),
        mode: fileType.regular | 0o755,
        content: Buffer.from(content),
      },
    })),
  ].sort((left, right) => Buffer.compare(left.path, right.path));
  const chunks: Buffer[] = [];
  for await (const chunk of writeNewc(entries, { epoch: 0 })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function known(role: SegmentRole, data: Buffer, content: Json): KnownSegment {
  return { role, bytes: data.length, sha256: sha256(data), content };
}

function inspected(data: Buffer, remembered: readonly KnownSegment[]): Promise<Inspection> {
  const source = bufferSource(data);
  const scan = scanInitrd(source);
  const archives = scan.segments.map((segment) => ({ ...segment, archive: source, start: segment.offset }));
  const report = reportOn({ segments: archives, faults: [], [Symbol.dispose]: () => undefined }, scan.faults);
  return inspect({ initrd: source, report, archives, known: recognize(source, scan.segments, remembered) });
}

describe('inspect', () => {
  it('tells what belongs to which package, of parts that the cache knows', async () => {
    const base = await archive({ init: 'x'.repeat(100), 'usr/bin/tool': 'y'.repeat(40), 'usr/note': 'z' });
    const content = {
      packages: [
        { name: 'tools', version: '1', architecture: 'all', sha256: '' },
        {
          ...{ name: 'start', version: '2', architecture: 'all', sha256: '' },
          ...{ installed: { modified: [], missing: [] }, reason: 'init opens libstart' },
        },
      ],
      owners: { start: ['init', 'usr/not-there'], tools: ['usr', 'usr/bin', 'usr/bin/tool'] },
    };
    const { packages, parts, files } = await inspected(base, [known('base', base, content)]);
    expect(parts.map(({ role }) => role)).toEqual(['base']);
    expect(packages).toEqual([
      { name: 'start', version: '2', files: 1, bytes: 100, isRepacked: true, reason: 'init opens libstart' },
      { name: 'tools', version: '1', files: 1, bytes: 40 },
    ]);
    expect(files.map(({ path }) => path)).toEqual(['init', 'usr/bin/tool', 'usr/note']);
  });

  it('knows a part only when each of its bytes is the same', async () => {
    const base = await archive({ init: 'one' });
    const other = await archive({ init: 'two' });
    expect(other.length).toBe(base.length);
    expect((await inspected(other, [known('base', base, {})])).parts[0]?.role).toBeUndefined();
  });

  it('knows a part that is several archives', async () => {
    const parts = [
      await archive({ init: '1' }),
      await archive({ a: '2' }),
      await archive({ b: '3' }),
    ] as const;
    const remembered = [
      known('modules', Buffer.concat([parts[1], parts[2]]), {}),
      known('base', parts[0], {}),
    ];
    const { parts: found } = await inspected(Buffer.concat(parts), remembered);
    expect(found.map(({ role }) => role)).toEqual(['base', 'modules', 'modules']);
  });

  it('gives the remembered reasons of modules and firmware', async () => {
    const data = await archive({
      [`${modules}/kernel/ext4.ko`]: 'no module',
      'usr/lib/firmware/nic.bin': 'f',
    });
    const content = {
      modules: { 'kernel/ext4.ko': ['pattern ext4', 'needed by x'] },
      firmware: { 'usr/lib/firmware/nic.bin': ['nic'] },
    };
    const { modules: found, firmware } = await inspected(data, [known('modules', data, content)]);
    expect(found).toEqual([
      { path: `${modules}/kernel/ext4.ko`, bytes: 9, reasons: ['pattern ext4', 'needed by x'] },
    ]);
    expect(firmware).toEqual([{ path: 'usr/lib/firmware/nic.bin', bytes: 1, requestedBy: ['nic'] }]);
  });

  it('names the modules of a foreign initrd that need another one, not those that are left out', async () => {
    const data = await archive({
      [`${modules}/kernel/a.ko`]: '',
      [`${modules}/kernel/b-b.ko`]: '',
      [`${modules}/modules.dep`]:
        'kernel/a.ko: kernel/b-b.ko\nkernel/left-out.ko: kernel/b-b.ko\nkernel/b-b.ko:\n',
    });
    expect((await inspected(data, [])).modules.map(({ reasons }) => reasons)).toEqual([[], ['needed by a']]);
  });

  it('tells of packages once, in however many archives they are', async () => {
    const both = Buffer.concat([await archive({ init: 'x' }), await archive({ 'usr/bin/tool': 'y' })]);
    const content = { packages: [{ name: 'all', version: '1' }], owners: { all: ['init', 'usr/bin/tool'] } };
    const { packages, parts } = await inspected(both, [known('base', both, content)]);
    expect(parts.map(({ role }) => role)).toEqual(['base', 'base']);
    expect(packages).toEqual([{ name: 'all', version: '1', files: 2, bytes: 2 }]);
  });

  it('counts a file of several names once, as initramfs-tools packs busybox', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'test-inspect-');
    writeFileSync(join(scratch.path, 'ash'), 'shared');
    for (const name of ['busybox', 'cat']) linkSync(join(scratch.path, 'ash'), join(scratch.path, name));
    writeFileSync(join(scratch.path, 'init'), 'own');
    const packed = spawnSync('cpio', ['-o', '-H', 'newc', '--quiet'], {
      ...{ cwd: scratch.path, input: 'ash\nbusybox\ncat\ninit\n' },
    });
    expect([packed.status, packed.stderr.toString()]).toEqual([0, '']);
    const inspection = await inspected(packed.stdout, []);
    expect(inspection.files).toEqual([
      { path: 'ash', bytes: 6, links: ['busybox', 'cat'], part: 0 },
      { path: 'init', bytes: 3, part: 0 },
    ]);
    expect(inspectionText(inspection, { file: 'f', allFiles: false })).toContain(
      ' 6 B  ash and 2 more names\n',
    );
  });

  it('is printed with a paragraph for each kind of thing that is there', async () => {
    const data = await archive({ init: 'x'.repeat(2048), [`${modules}/kernel/a.ko`]: '' });
    const text = inspectionText(await inspected(data, [known('base', data, {})]), {
      file: 'f',
      allFiles: false,
    });
    expect(text.split('\n')).toEqual([
      'f',
      `  part  offset  packed     size  unpacked  paths`,
      expect.stringMatching(/^ {2}base {7}0 {4}none +[\d.]+ KiB +[\d.]+ KiB {6}7$/),
      `  measured into PCR 9: ${sha256(data)}`,
      '',
      'kernel modules: 1',
      '  0 B  6.1/kernel/a.ko',
      '',
      'files: 2',
      '  2.0 KiB  init',
      `      0 B  ${modules}/kernel/a.ko`,
    ]);
  });
});
