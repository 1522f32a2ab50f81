/** A tree for another architecture than the machine's, with the programs that its packages start. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ArchitectureName } from '../../src/distro/architectures/index.ts';
import { architectures, nativeArchitecture } from '../../src/distro/architectures/index.ts';
import { parseStanzas } from '../../src/distro/deb822.ts';
import { exists } from '../../src/base/files.ts';
import { archiveTree } from '../helpers/archive-tree.ts';
import { mkimg } from '../helpers/cli.ts';
import { isRoot } from '../helpers/ordinary-user.ts';
import { project } from '../helpers/project.ts';

const foreign: ArchitectureName = nativeArchitecture() === 'riscv64' ? 'arm64' : 'riscv64';
const { names, uname, elf, triplet } = architectures[foreign];

/** What a script finds in the tree: the tree's own programs where these tell, and the machine's where nobody can tell. */
const script = `#!/bin/sh
set -eu
{ uname -m; dpkg --print-architecture; perl -e 'print "perl runs\\n"'; systemctl --version | head -n 1; } >/etc/found
`;

describe.skipIf(!isRoot)('a tree for another architecture (needs root)', () => {
  it('is set up by its own programs, and holds nothing of this machine', async () => {
    await using directory = await project({
      'mkimg.conf': `[Distribution]
Release=trixie
Architecture=${foreign}
[Output]
Format=directory
OutputDirectory=out
[Content]
Packages=systemd systemd-sysv udev
WithDocs=no
`,
      'mkimg.postinst.chroot': script,
    });
    const sources = await archiveTree(directory.path, 'trixie');
    const built = await mkimg(['-C', directory.path, '--sandbox-tree', sources, 'build']);
    expect(built.code, built.stderr).toBe(0);
    const root = join(directory.path, 'out/image');
    const found = (await readFile(join(root, 'etc/found'), 'utf8')).trimEnd().split('\n');
    expect(found).toEqual([uname, names.debian, 'perl runs', expect.stringMatching(/^systemd 257 /)]);
    const packages = parseStanzas(await readFile(join(root, 'var/lib/dpkg/status'), 'utf8'));
    expect(packages.length).toBeGreaterThan(60);
    for (const one of packages) {
      expect(one.get('status'), one.get('package')).toBe('install ok installed');
      expect(['all', names.debian]).toContain(one.get('architecture'));
    }
    // e_machine, at 18 in the header of an ELF file.
    const shell = await readFile(join(root, 'usr/bin/dash'));
    expect(shell.readUInt16LE(18)).toBe(elf.machine);
    expect(await readFile(join(root, 'etc/ld.so.cache'), 'latin1')).toContain(`${triplet}/libc.so.6`);
    // What was lent while scripts ran is gone.
    const { loader, triplet: native } = architectures[nativeArchitecture()];
    for (const path of [loader, `usr/lib/${native}`]) {
      expect(await exists(join(root, path)), path).toBe(false);
    }
    expect(await readFile(join(root, 'etc/passwd'), 'utf8')).toMatch(/^systemd-network:/m);
  });
});
