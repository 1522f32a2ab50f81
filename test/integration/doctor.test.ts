/** `mkimg doctor` on this machine, and on worse ones that are made of it for the length of a command. */
import { chmod, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { Finding } from '../../src/cli/doctor/check.ts';
import type { CliOptions } from '../helpers/cli.ts';
import { mkimg, mkimgProgram } from '../helpers/cli.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';

interface Report {
  readonly code: number;
  readonly canBuild: boolean;
  readonly findings: ReadonlyMap<string, Finding>;
}

async function doctor(options: CliOptions = {}): Promise<Report> {
  const { code, stdout, stderr } = await mkimg(['doctor', '--json'], options);
  expect(stdout, stderr).toMatch(/^\{/);
  const { canBuild, findings } = JSON.parse(stdout) as { canBuild: boolean; findings: Finding[] };
  return { code, canBuild, findings: new Map(findings.map((finding) => [finding.name, finding])) };
}

/** Where a shell command has changed the machine before. */
function after(change: string): CliOptions {
  return { prefix: ['unshare', '--mount', 'sh', '-c', `${change} && exec "$@"`, 'sh'] };
}

let directory: TemporaryDirectory;
beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-doctor-test-');
  await chmod(directory.path, 0o755);
});
afterAll(() => directory[Symbol.asyncDispose]());

describe('mkimg doctor', () => {
  it('finds that images can be built where these tests are run', async () => {
    const { code, canBuild, findings } = await doctor();
    expect([...findings.values()].filter(({ verdict }) => verdict === 'broken')).toEqual([]);
    expect([code, canBuild]).toEqual([0, true]);
    for (const name of ['namespaces', 'overlay', 'node', 'tool:bwrap', 'cache', 'links', 'archive-keys']) {
      expect(findings.get(name)?.verdict, name).toBe('good');
    }
    for (const name of ['kvm', 'vsock', 'tpm', 'virtiofs', 'reflinks', 'binfmt:arm64', 'scratch']) {
      expect(findings.has(name), name).toBe(true);
    }
    expect(findings.get('tool:bwrap')?.summary).toMatch(/^\/\S+bwrap, \d+\.\d+/);
  });

  it('prints a line for each, and needs no project and no PATH', async () => {
    const { code, stdout } = await mkimg(['doctor'], { cwd: '/', env: { PATH: '' } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok {7}namespaces/m);
    expect(stdout.trimEnd()).toMatch(/Images can be built here\.$/);
  });

  it.runIf(isRoot).each([
    {
      what: 'a program that is gone',
      change: 'mount --bind /dev/null "$(command -v bwrap)"',
      ...{ name: 'tool:bwrap', fix: /install bubblewrap/ },
    },
    {
      what: 'no /proc',
      change: 'mount -t tmpfs none /proc',
      ...{ name: 'namespaces', fix: /^mount -t proc/ },
    },
    {
      what: 'no keys',
      change: 'mount -t tmpfs none /usr/share/keyrings',
      ...{ name: 'archive-keys', fix: /install debian-archive-keyring/ },
    },
  ])('tells how to mend $what', async ({ change, name, fix }) => {
    const { code, findings } = await doctor(after(change));
    expect(findings.get(name)?.verdict).toBe('broken');
    expect(findings.get(name)?.fix).toMatch(fix);
    expect(code).toBe(1);
  });

  it.runIf(isRoot)('tells that no mirror answers where there is no network', async () => {
    const { code, findings } = await doctor({ prefix: ['unshare', '--net'] });
    const mirrors = [...findings.values()].filter(({ name }) => name.startsWith('mirror:'));
    expect(new Set(mirrors.map(({ verdict }) => verdict))).toEqual(new Set(['broken']));
    expect(code).toBe(1);
  });

  it.runIf(isRoot)('names a cache that cannot be written to', async () => {
    const cache = join(directory.path, 'cache');
    await mkdir(cache);
    const readOnly = after(`mount --bind ${cache} ${cache} && mount -o remount,bind,ro ${cache}`);
    const { code, findings } = await doctor({ ...readOnly, env: { XDG_CACHE_HOME: cache } });
    expect([code, findings.get('cache')?.verdict]).toEqual([1, 'broken']);
    expect(findings.get('cache')?.fix).toContain('CacheDirectory=');
  });

  it.runIf(isRoot)('tells an ordinary user how to get subordinate ids', async () => {
    const scratch = hostPath(directory.path);
    const binds = { mkimg: resolve(import.meta.dirname, '../..') };
    const prefix = await ordinaryUserPrefix({ scratch, hasSubordinateIds: false, binds });
    const program = join(directory.path, 'mkimg', mkimgProgram.slice(binds.mkimg.length));
    const { code, findings } = await doctor({ prefix, program });
    expect(code).toBe(0);
    expect(findings.get('subordinate-ids')).toMatchObject({
      verdict: 'lacking',
      fix: expect.stringContaining('usermod --add-subuids') as string,
    });
    expect(findings.get('namespaces')?.verdict).toBe('good');
  });
});
