/** Projects of several images: what they take of each other, and what is made again when one of them changes. */
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import type { CliResult } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench } from '../helpers/image-bench.ts';
import { isRoot } from '../helpers/ordinary-user.ts';
import { writeFiles } from '../helpers/project.ts';

let bench: ImageBench;

beforeAll(async () => {
  bench = await imageBench();
});
afterEach(async () => {
  expect(await bench.leftovers()).toEqual([]);
});
afterAll(() => bench[Symbol.asyncDispose]());

/** A build script that makes the package `made` with one file. */
const makePackage = `#!/bin/sh
set -eu
mkdir -p /tmp/made/DEBIAN /tmp/made/usr/share/made
cp "$SRCDIR/made.txt" /tmp/made/usr/share/made/file
printf '%s\\n' 'Package: made' 'Version: 1' 'Architecture: all' 'Maintainer: T <t@mkimg.example>' \\
    'Description: test' >/tmp/made/DEBIAN/control
dpkg-deb -Zgzip --root-owner-group --build /tmp/made "$PACKAGEDIR/made_1_all.deb" >/dev/null
echo built >"$ARTIFACTDIR/note"
`;

const main = `[Distribution]
Release=trixie
[Output]
Format=directory
OutputDirectory=out
[Validation]
Checksum=yes
[Content]
BaseTrees=%O/base
Packages=made
ExtraTrees=%O/data/usr/share/data:/usr/share/taken
           %O/data.manifest:/usr/share/data.json
[Build]
BuildSources=sources
`;

const files = {
  'mkimg.images/base/mkimg.conf': '[Output]\nFormat=directory\n[Content]\nPackages=more\n',
  'mkimg.images/data/mkimg.conf': '[Output]\nFormat=directory\nManifestFormat=json\n',
  'mkimg.images/data/mkimg.extra/usr/share/data/file': 'one\n',
  'mkimg.images/packages/mkimg.conf': '[Output]\nFormat=tar\n[Content]\nVolatilePackages=made\n',
  'mkimg.images/packages/mkimg.build': makePackage,
  'mkimg.images/packages/mkimg.finalize':
    '#!/bin/sh\ncat "$ARTIFACTDIR/note" "$BUILDROOT/usr/share/made/file" >"$OUTPUTDIR/packages.note"\n',
  'sources/made.txt': 'made\n',
};

/** Steps that ran, by name. */
function ran({ events }: CliResult): readonly string[] {
  return events.flatMap((event) => (event.type === 'step-started' ? [event.step] : []));
}

async function build(project: HostPath, ...argv: readonly string[]): Promise<CliResult> {
  const result = await bench.run(project, ['build', ...argv]);
  expect(result.stderr.replace(/^.*warning.*$/gm, '')).not.toContain('error');
  expect(result.code).toBe(0);
  return result;
}

describe.skipIf(!isRoot)('a project of several images (needs root)', () => {
  let project: HostPath;
  const out = (name: string): string => join(project, 'out', name);

  beforeAll(async () => {
    project = await bench.project(main, files);
  });

  it('builds one on the tree of another, with files and packages of further ones', async () => {
    await build(project);
    expect(await readFile(out('image/usr/share/more/file'), 'utf8')).toBe('more\n');
    expect(await readFile(out('image/usr/share/made/file'), 'utf8')).toBe('made\n');
    expect(await readFile(out('image/usr/share/taken/file'), 'utf8')).toBe('one\n');
    expect(JSON.parse(await readFile(out('image/usr/share/data.json'), 'utf8'))).toHaveProperty('packages');
  });

  it('puts the outputs of each image into the output directory, those of scripts too', async () => {
    expect((await readdir(join(project, 'out'))).sort()).toEqual([
      'base',
      'data',
      'data.manifest',
      'image',
      'image.SHA256SUMS',
      'packages',
      'packages.note',
      'packages.tar.zst',
    ]);
    expect(await readFile(out('packages.note'), 'utf8')).toBe('built\nmade\n');
    expect(await readlink(out('packages'))).toBe('packages.tar.zst');
  });

  it('has nothing to do the second time', async () => {
    const again = await build(project);
    expect(ran(again)).toEqual([]);
    expect(again.events.filter(({ type }) => type === 'step-hit')).toEqual([]);
  });

  it('makes again only what depends on a file that changed', async () => {
    await writeFiles(project, { 'mkimg.images/data/mkimg.extra/usr/share/data/file': 'two\n' });
    const changed = await build(project);
    expect(await readFile(out('image/usr/share/taken/file'), 'utf8')).toBe('two\n');
    const images = new Set(ran(changed).map((step) => step.split('/')[0]));
    expect([...images].sort()).toEqual(['data', 'main']);
    expect(ran(changed)).toContain('main/copy-trees:extra');
    expect(ran(changed)).not.toContain('main/install-packages');
  });

  it('installs a package anew that another image made differently', async () => {
    await writeFiles(project, { 'sources/made.txt': 'changed\n' });
    const changed = await build(project);
    expect(await readFile(out('image/usr/share/made/file'), 'utf8')).toBe('changed\n');
    expect(ran(changed)).toContain('main/install-packages');
    expect(ran(changed).filter((step) => step.startsWith('base/'))).toEqual([]);
  });

  it('builds a named image alone, with what it needs', async () => {
    await bench.run(project, ['clean']);
    expect(await readdir(join(project, 'out'))).toEqual([]);
    await build(project, '--image', 'data');
    expect((await readdir(join(project, 'out'))).sort()).toEqual(['data', 'data.manifest']);
    await rm(join(project, 'out'), { recursive: true });
  });
});

describe.skipIf(!isRoot)('scripts around a build (need root)', () => {
  it('fetch sources before it, change outputs after it, and clear away', async () => {
    const project = await bench.project(
      '[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\nOutput=whole\nOutputDirectory=out\n',
      {
        'mkimg.sync': '#!/bin/sh\necho fetched >>"$SRCDIR/fetched"\n',
        'mkimg.postinst': '#!/bin/sh\ncp "$SRCDIR/fetched" "$BUILDROOT/fetched"\n',
        'mkimg.postoutput': '#!/bin/sh\ncd "$OUTPUTDIR"\nls >list\nrm whole\n',
        'mkimg.clean': '#!/bin/sh\nls "$OUTPUTDIR" >"$SRCDIR/left"\n',
      },
    );
    await build(project);
    expect((await readdir(join(project, 'out'))).sort()).toEqual(['list', 'whole.tar.zst']);
    expect(await readFile(join(project, 'out/list'), 'utf8')).toBe('list\nwhole\nwhole.tar.zst\n');
    expect((await stat(join(project, 'out/whole.tar.zst'))).size).toBeGreaterThan(1000);
    expect((await bench.run(project, ['clean'])).code).toBe(0);
    expect(await readFile(join(project, 'left'), 'utf8')).toBe('');
  });

  it('install packages into the image', async () => {
    const project = await bench.project(
      '[Distribution]\nRelease=trixie\n[Output]\nFormat=directory\nOutputDirectory=out\n',
      { 'mkimg.prepare': '#!/bin/sh\nset -eu\nmkosi-install more\n' },
    );
    await build(project);
    expect(await readFile(join(project, 'out/image/usr/share/more/file'), 'utf8')).toBe('more\n');
    const status = await readFile(join(project, 'out/image/var/lib/dpkg/status'), 'utf8');
    expect(status).toMatch(/Package: more\nStatus: install ok installed/);
  });

  it('run at each build where they use the network, unless they may be kept', async () => {
    const project = await bench.project(
      '[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\nOutputDirectory=out\n[Build]\nWithNetwork=yes\n',
      { 'mkimg.prepare': '#!/bin/sh\n', 'mkimg.finalize': '#!/bin/sh\ntouch "$BUILDROOT/final"\n' },
    );
    await build(project);
    const again = ran(await build(project));
    expect(again).toContain('main/run-scripts:finalize');
    expect(again).not.toContain('main/run-scripts:prepare');
    await build(project, '--cacheable=yes');
    expect(ran(await build(project, '--cacheable=yes'))).toEqual([]);
    expect(ran(await build(project, '--cacheable=no'))).toContain('main/run-scripts:prepare');
  });

  it('run at each build with Cacheable=no, and what is made from their results with them', async () => {
    const project = await bench.project(
      '[Distribution]\nRelease=trixie\n[Output]\nFormat=directory\nOutputDirectory=out\n[Build]\nCacheable=no\n',
      { 'mkimg.finalize': '#!/bin/sh\ncat /proc/sys/kernel/random/uuid >"$BUILDROOT/made"\n' },
    );
    const made = async (): Promise<string> => {
      await build(project);
      return readFile(join(project, 'out/image/made'), 'utf8');
    };
    const first = await made();
    expect(await made()).not.toBe(first);
    const again = ran(await build(project));
    expect(again).toContain('main/run-scripts:finalize');
    expect(again).not.toContain('main/install-packages');
    await build(project, '--cacheable=yes');
    expect(ran(await build(project, '--cacheable=yes'))).toEqual([]);
  });

  it('leave the sources alone where they are ephemeral', async () => {
    const project = await bench.project(
      '[Distribution]\nRelease=trixie\n[Output]\nFormat=directory\nOutputDirectory=out\n[Build]\nBuildSources=sources\nBuildSourcesEphemeral=yes\n',
      {
        'sources/file': 'mine\n',
        'mkimg.build': '#!/bin/sh\necho changed >"$SRCDIR/file"\ncp "$SRCDIR/file" "$DESTDIR/file"\n',
      },
    );
    await build(project);
    expect(await readFile(join(project, 'sources/file'), 'utf8')).toBe('mine\n');
    expect(await readFile(join(project, 'out/image/file'), 'utf8')).toBe('changed\n');
  });
});

describe('images that do not fit together', () => {
  async function refused(settings: string, more: Readonly<Record<string, string>>): Promise<string> {
    const project = await bench.project(
      `[Distribution]\nRelease=trixie\n[Output]\nFormat=directory\nOutputDirectory=out\n${settings}`,
      more,
    );
    const result = await bench.run(project, ['build']);
    expect(result.code).toBe(2);
    return result.stderr.replaceAll(project, '.');
  }

  it('say where an output is named that is not made', async () => {
    const said = await refused('[Content]\nExtraTrees=%O/base.efi\n', {
      'mkimg.images/base/mkimg.conf': '[Output]\nFormat=tar\n',
    });
    expect(said).toContain('./mkimg.conf:7:');
    expect(said).toContain('ExtraTrees= of main wants ./out/base.efi, but the image base makes base.tar.zst');
  });

  it('say when two of them make the same file', async () => {
    const said = await refused('Output=same\n', {
      'mkimg.images/base/mkimg.conf': '[Output]\nFormat=directory\nOutput=same\n',
    });
    expect(said).toContain('the images base and main both make ./out/same');
  });

  it('say when they need each other', async () => {
    const said = await refused('[Content]\nExtraTrees=%O/base\n', {
      'mkimg.images/base/mkimg.conf': '[Output]\nFormat=directory\n[Content]\nExtraTrees=%O/image\n',
    });
    expect(said).toContain('but the image base needs main itself');
  });
});
