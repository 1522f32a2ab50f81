import { execFile } from 'node:child_process';
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  stat,
  symlink,
  utimes,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostPath, treePath } from '../../src/base/brand.ts';
import { exists } from '../../src/base/files.ts';
import type { Opened } from '../../src/plan/step.ts';
import type { ScriptSettings } from '../../src/plan/vocabulary.ts';
import { autologin } from '../../src/steps/autologin.ts';
import { cleanTraces } from '../../src/steps/clean-traces.ts';
import { copyTrees } from '../../src/steps/copy-trees.ts';
import { firstboot } from '../../src/steps/firstboot.ts';
import { hwdb } from '../../src/steps/hwdb.ts';
import { identity } from '../../src/steps/identity.ts';
import { makeInitrd } from '../../src/steps/make-initrd.ts';
import { mergeTree } from '../../src/steps/merge-tree.ts';
import { presets } from '../../src/steps/presets.ts';
import { removeFiles } from '../../src/steps/remove-files.ts';
import { runBuildScripts } from '../../src/steps/run-build-scripts.ts';
import { runScriptsStep } from '../../src/steps/run-scripts.ts';
import { sysusers } from '../../src/steps/sysusers.ts';
import { tmpfiles } from '../../src/steps/tmpfiles.ts';
import { writeFiles } from '../helpers/project.ts';
import type { StepBench } from '../helpers/step-bench.ts';
import { runnableTree, stepBench } from '../helpers/step-bench.ts';
import { buildTools } from '../helpers/tools.ts';

const execute = promisify(execFile);
const isRoot = process.getuid?.() === 0;

let bench: StepBench;
beforeEach(async () => {
  bench = await stepBench(await buildTools());
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function at(path: string): string {
  return join(bench.root, path);
}
function text(path: string): Promise<string> {
  return readFile(at(path), 'utf8');
}
/** Directory beside the tree with these files. */
async function source(name: string, files: Readonly<Record<string, string>>) {
  const path = hostPath(join(bench.directory, name));
  await mkdir(path);
  await writeFiles(path, files);
  return path;
}
const base = () => ({ root: bench.root });

describe.skipIf(!isRoot)('copy-trees (needs root)', () => {
  const copy = (path: string, target = '') =>
    copyTrees.run(
      { trees: [{ source: { path: hostPath(path) }, target: treePath(target) }] },
      bench.root,
      bench.context,
    );

  it('copies with root as owner, and keeps modes and links', async () => {
    const extra = await source('extra', { 'usr/bin/tool': '#!/bin/sh\n', 'etc/new/conf': 'a' });
    await chown(join(extra, 'etc/new/conf'), 1234, 1234);
    await chmod(join(extra, 'etc/new'), 0o711);
    await utimes(join(extra, 'etc/new/conf'), 1, 1_000_000);
    await symlink('/usr/bin/tool', join(extra, 'etc/link'));
    await copy(extra);
    const conf = await lstat(at('etc/new/conf'));
    expect([conf.uid, conf.gid]).toEqual([0, 0]);
    // No key knows the times of the user's files, so they must not get into the image.
    expect(conf.mtimeMs).toBeGreaterThan(1_000_000_000);
    expect((await lstat(at('etc/new'))).mode & 0o777).toBe(0o711);
    expect((await lstat(at('usr/bin/tool'))).mode & 0o777).toBe(0o755);
    expect(await readlink(at('etc/link'))).toBe('/usr/bin/tool');
  });

  it('leaves directories as they are, with their group, mode and time', async () => {
    await writeFiles(bench.root, { 'usr/local/old': '', 'etc/old': '' });
    await chown(at('usr/local'), 0, 50);
    await chmod(at('usr/local'), 0o2775);
    await chmod(at('etc'), 0o700);
    await utimes(at('etc'), 2, 2_000_000);
    const extra = await source('extra', { 'usr/local/bin/tool': 'x', 'etc/new': 'y' });
    await chmod(join(extra, 'etc'), 0o755);
    await copy(extra);
    const local = await lstat(at('usr/local'));
    expect([local.gid, local.mode & 0o7777]).toEqual([50, 0o2775]);
    const bin = await lstat(at('usr/local/bin'));
    expect([bin.gid, bin.mode & 0o7777]).toEqual([0, 0o755]);
    const etc = await lstat(at('etc'));
    expect([etc.mode & 0o777, etc.mtimeMs]).toEqual([0o700, 2_000_000_000]);
    expect(await readdir(at('etc'))).toEqual(['new', 'old']);
  });

  it('never writes through links of the image, nor into files that are linked elsewhere', async () => {
    const victim = await source('victim', { file: 'safe', 'dir/file': 'safe' });
    await writeFiles(bench.root, { 'usr/bin/other': '', 'etc/hosts': 'old' });
    await symlink('usr/bin', at('bin'));
    await symlink(join(victim, 'file'), at('etc/absolute'));
    await symlink(`..${victim}/dir`, at('etc/climb'));
    await link(at('etc/hosts'), join(bench.directory, 'shared'));
    const extra = await source('extra', {
      'bin/tool': 'tool',
      'etc/absolute': 'new',
      'etc/climb/file': 'new',
      'etc/hosts': 'new',
    });
    await copy(extra);
    expect(await readFile(join(victim, 'file'), 'utf8')).toBe('safe');
    expect(await readFile(join(victim, 'dir/file'), 'utf8')).toBe('safe');
    expect(await readFile(join(bench.directory, 'shared'), 'utf8')).toBe('old');
    expect(await readlink(at('bin'))).toBe('usr/bin');
    expect(await readdir(at('usr/bin'))).toEqual(['other', 'tool']);
    expect((await lstat(at('etc/absolute'))).isFile()).toBe(true);
    // The link leads out of the image, so its place inside is meant.
    expect(await readFile(join(bench.root, victim, 'dir/file'), 'utf8')).toBe('new');
    expect(await text('etc/hosts')).toBe('new');
  });

  it('takes names with anything in them', async () => {
    const names = ["it's", 'new\nline', '-rf', 'ünï', '$(id)', ' '];
    await mkdir(at('etc'));
    const extra = await source('extra', Object.fromEntries(names.map((name) => [`etc/${name}`, name])));
    await copy(extra);
    expect((await readdir(at('etc'))).sort()).toEqual([...names].sort());
  });

  it('unpacks archives with their owners, into an empty tree and over a full one', async () => {
    const tree = await source('content', { 'lib/a': 'a', 'etc/b': 'b', 'run/c': 'c' });
    await chown(join(tree, 'etc/b'), 7, 8);
    const archive = join(bench.directory, 'extra.tar.gz');
    await execute('tar', ['-C', tree, '-czf', archive, '.']);
    await copy(archive);
    expect([(await lstat(at('etc/b'))).uid, (await lstat(at('etc/b'))).gid]).toEqual([7, 8]);
    expect(await readdir(at('run'))).toEqual([]);
    await writeFiles(bench.root, { 'usr/lib/a': 'old' });
    await execute('rm', ['-r', at('lib')]);
    await symlink('usr/lib', at('lib'));
    await copy(archive);
    expect(await text('usr/lib/a')).toBe('a');
    expect((await lstat(at('lib'))).isSymbolicLink()).toBe(true);
    expect(await readdir(bench.context.work)).toEqual([]);
  });

  it('puts a file where it is told', async () => {
    const files = await source('files', { 'motd.txt': 'hello' });
    await copy(join(files, 'motd.txt'), 'etc/motd');
    expect(await text('etc/motd')).toBe('hello');
  });

  it('merges the tree of another step, owners kept', async () => {
    const built = await source('built', { 'usr/bin/app': 'app' });
    await chown(join(built, 'usr/bin/app'), 3, 4);
    await mergeTree.run({ base: base(), source: { root: built } }, bench.root, bench.context);
    expect([(await lstat(at('usr/bin/app'))).uid, (await lstat(at('usr/bin/app'))).gid]).toEqual([3, 4]);
  });
});

describe.skipIf(!isRoot)('scripts (need root)', () => {
  const settings = (scripts: readonly string[], more: Partial<Opened<ScriptSettings>> = {}) => ({
    base: base(),
    phase: 'postinst' as const,
    scripts: scripts.map((path) => ({
      file: { path: hostPath(path) },
      chroot: path.endsWith('.chroot'),
      name: path,
    })),
    arguments: ['final'],
    environment: { RELEASE: 'trixie' },
    network: false,
    sources: [],
    configJson: '{"Release":"trixie"}',
    ...more,
  });
  const programs = ['sh', 'cat', 'ls', 'id', 'env', 'mkdir', 'touch'];

  it('run outside and inside of the image, and leave nothing of /work in it', async () => {
    await runnableTree(bench.root, programs);
    const project = await source('project', {
      outside:
        '#!/bin/sh -eu\n' +
        'echo "$1 $RELEASE $(pwd) $(id -u) $(cat "$MKOSI_CONFIG") $(cat input)" >"$BUILDROOT/outside"\n' +
        'echo back >output\n' +
        'mkosi-chroot sh -euc \'echo "$container $(pwd) $PATH" >/inside; cat input >>/inside; echo x >/dev/null\'\n' +
        'mkimg-chroot "$CHROOT_SCRIPT" again || echo "exit $?" >>"$BUILDROOT/outside"\n' +
        '[ -e /usr/bin/systemd-repart ] && [ ! -e /etc/shadow ]\n',
      'inside.chroot': '#!/bin/sh -eu\necho "$container $1 $SRCDIR $(pwd)" >/chroot; cat input >>/chroot\n',
      input: 'from the project',
    });
    // A script that calls itself inside the image, as mkosi's manual shows; here it fails there: no $BUILDROOT.
    await runScriptsStep.run(
      settings([join(project, 'outside'), join(project, 'inside.chroot')], {
        sources: [{ source: { path: project }, target: treePath('') }],
      }),
      bench.root,
      bench.context,
    );
    expect(await text('outside')).toBe(
      'final trixie /work/src 0 {"Release":"trixie"} from the project\nexit 2\n',
    );
    expect(await text('inside')).toBe(
      'mkosi /work/src /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nfrom the project',
    );
    expect(await text('chroot')).toBe('mkosi final /work/src /work/src\nfrom the project');
    expect(await readFile(join(project, 'output'), 'utf8')).toBe('back\n');
    expect(await exists(at('work'))).toBe(false);
    expect(await exists(at('etc/resolv.conf'))).toBe(false);
    expect(await readdir(at('dev'))).toEqual([]);
  });

  it('see the resolver of the machine when they may use the network', async () => {
    await runnableTree(bench.root, programs);
    await symlink('../run/systemd/resolve/stub-resolv.conf', at('etc/resolv.conf'));
    const project = await source('project', {
      outside: '#!/bin/sh -eu\nmkosi-chroot cat /etc/resolv.conf >"$BUILDROOT/one"\n',
      'inside.chroot': '#!/bin/sh -eu\ncat /etc/resolv.conf >/two\n',
    });
    const scripts = [join(project, 'outside'), join(project, 'inside.chroot')];
    await runScriptsStep.run(settings(scripts, { network: true }), bench.root, bench.context);
    const expected = (await exists('/etc/resolv.conf')) ? await readFile('/etc/resolv.conf', 'utf8') : '';
    expect(await text('one')).toBe(expected);
    expect(await text('two')).toBe(expected);
    expect(await readdir(at('run'))).toEqual([]);
  });

  it('change accounts of the image, not those of the tools', async () => {
    await runnableTree(bench.root, programs);
    await writeFiles(bench.root, { 'etc/shadow': 'root:*:20000::::::\n', 'etc/gshadow': 'root:*::\n' });
    const project = await source('project', {
      script:
        '#!/bin/sh -eu\ngroupadd --gid 4242 crew\nuseradd --uid 4242 --gid crew --no-create-home sailor\n',
    });
    await runScriptsStep.run(settings([join(project, 'script')]), bench.root, bench.context);
    expect(await text('etc/passwd')).toMatch(/^sailor:x:4242:4242:/m);
    expect(await text('etc/group')).toMatch(/^crew:x:4242:/m);
  });

  it('fail with their path, exit code and last lines', async () => {
    await runnableTree(bench.root, programs);
    const project = await source('project', {
      script: '#!/bin/sh\necho before >&2\nexit 3\n',
      plain: 'echo\n',
    });
    const failed = runScriptsStep.run(settings([join(project, 'script')]), bench.root, bench.context);
    await expect(failed).rejects.toMatchObject({
      code: 'script-failed',
      message: expect.stringMatching(new RegExp(`^${project}/script failed .*exit code 3`)) as string,
      tail: ['before'],
      reenter: expect.stringContaining('bwrap') as string,
    });
    const plain = runScriptsStep.run(settings([join(project, 'plain')]), bench.root, bench.context);
    await expect(plain).rejects.toMatchObject({
      code: 'script-not-executable',
      hint: `chmod +x ${project}/plain`,
    });
    const missing = runScriptsStep.run(settings([join(project, 'none')]), bench.root, bench.context);
    await expect(missing).rejects.toMatchObject({ code: 'script-missing' });
  });

  it('leave packages, artifacts and outputs beside the tree, where scripts of later steps find them', async () => {
    const project = await source('project', {
      script:
        '#!/bin/sh -eu\necho a >"$OUTPUTDIR/report"\necho b >"$ARTIFACTDIR/artifact"\necho c >"$PACKAGEDIR/x.deb"\n',
      later: '#!/bin/sh -eu\ncat "$ARTIFACTDIR/artifact" "$PACKAGEDIR/x.deb" >>"$OUTPUTDIR/report"\n',
    });
    const earlier = bench.context.products;
    await runScriptsStep.run(settings([join(project, 'script')]), bench.root, bench.context);
    expect((await readdir(earlier, { recursive: true })).sort()).toEqual([
      ...['artifacts', 'artifacts/artifact', 'output', 'output/report', 'packages', 'packages/x.deb'],
    ]);
    expect(await readdir(bench.context.work)).toEqual([]);

    const products = hostPath(join(bench.directory, 'later-products'));
    await runScriptsStep.run(
      settings([join(project, 'later')], { products: { directory: earlier } }),
      bench.root,
      { ...bench.context, products },
    );
    expect(await readFile(join(products, 'output/report'), 'utf8')).toBe('a\nb\nc\n');
    expect(await readFile(join(earlier, 'output/report'), 'utf8')).toBe('a\n');
  });

  it('build into DESTDIR on an overlay that is thrown away', async () => {
    await runnableTree(bench.root, programs);
    const project = await source('project', {
      build:
        '#!/bin/sh -eu\nmkdir -p "$DESTDIR/usr/bin"\necho "$*" >"$DESTDIR/usr/bin/app"\n' +
        'echo cache >"$BUILDDIR/cache"\ntouch "$BUILDROOT/rubbish"\n' +
        'mkosi-chroot sh -euc \'touch /more; cat "$CHROOT_BUILDDIR/cache" >"$CHROOT_DESTDIR/inside"\'\n',
    });
    const output = hostPath(join(bench.directory, 'output'));
    await mkdir(output);
    await runBuildScripts.run(
      settings([join(project, 'build')], {
        phase: 'build',
        arguments: ['--fast', 'x'],
        buildDirectory: hostPath(join(bench.directory, 'builddir')),
      }),
      output,
      bench.context,
    );
    expect(await readFile(join(output, 'usr/bin/app'), 'utf8')).toBe('--fast x\n');
    expect(await readFile(join(output, 'inside'), 'utf8')).toBe('cache\n');
    expect((await readdir(output)).sort()).toEqual(['inside', 'usr']);
    expect(await exists(at('rubbish'))).toBe(false);
    expect(await exists(at('more'))).toBe(false);
    expect(await readdir(bench.context.work)).toEqual([]);
  });
});

describe.skipIf(!isRoot)('systemd tools on a tree (need root)', () => {
  it('sysusers makes users', async () => {
    await writeFiles(bench.root, {
      'usr/lib/sysusers.d/x.conf': 'u daemon-x 842 "A daemon" /var/lib/x\n',
      'etc/shadow': 'root:*:20000::::::\n',
    });
    await sysusers.run({ base: base(), epoch: 86_400 * 12_345 }, bench.root, bench.context);
    expect(await text('etc/shadow')).toMatch(/^daemon-x:!\*:12345:/m);
    expect(await text('etc/passwd')).toMatch(/^daemon-x:x:842:842:A daemon:\/var\/lib\/x:/m);
  });

  it('tmpfiles makes directories of the image only, with its accounts in ACLs', async () => {
    await writeFiles(bench.root, {
      'etc/passwd': 'root:x:0:0::/:/bin/sh\nlogger:x:843:843::/:/bin/sh\n',
      'etc/group': 'root:x:0:\nreaders:x:844:\n',
      'usr/lib/tmpfiles.d/x.conf':
        'd /var/lib/x 0750 logger readers -\nd /run/x\nd /tmp/x\nL /var/lib/link - - - - /target\n' +
        'a+ /var/lib/x - - - - group:readers:r-x\n',
    });
    await tmpfiles.run({ base: base() }, bench.root, bench.context);
    const made = await stat(at('var/lib/x'));
    expect([made.uid, made.gid]).toEqual([843, 844]);
    expect(await readlink(at('var/lib/link'))).toBe('/target');
    expect(await exists(at('run/x'))).toBe(false);
    expect(await exists(at('tmp/x'))).toBe(false);
  });

  it('presets enable and disable units of the system and of users', async () => {
    const install = '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=';
    await writeFiles(bench.root, {
      'usr/lib/systemd/system/on.service': `${install}multi-user.target\n`,
      'usr/lib/systemd/system/off.service': `${install}multi-user.target\n`,
      'usr/lib/systemd/user/agent.service': `${install}default.target\n`,
      'usr/lib/systemd/system-preset/90.preset': 'enable on.service\ndisable *\n',
      'usr/lib/systemd/user-preset/90.preset': 'enable *\n',
    });
    await presets.run({ base: base() }, bench.root, bench.context);
    const wants = 'etc/systemd/system/multi-user.target.wants';
    expect(await readdir(at(wants))).toEqual(['on.service']);
    expect(await readdir(at('etc/systemd/user/default.target.wants'))).toEqual(['agent.service']);
  });

  it('hwdb goes to /usr', async () => {
    await writeFiles(bench.root, {
      'usr/lib/udev/hwdb.d/x.hwdb': 'usb:v1234*\n ID_VENDOR=x\n',
      'etc/udev/hwdb.bin': 'old',
    });
    await hwdb.run({ base: base() }, bench.root, bench.context);
    expect(await exists(at('usr/lib/udev/hwdb.bin'))).toBe(true);
    expect(await exists(at('etc/udev/hwdb.bin'))).toBe(false);
  });
});

describe.skipIf(!isRoot)('firstboot (needs root)', () => {
  beforeEach(async () => {
    await writeFiles(bench.root, {
      'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
      'etc/shadow': 'root:*:20000:0:99999:7:::\n',
      'usr/lib/os-release': 'ID=test\n',
      'usr/share/zoneinfo/Europe/Berlin': '',
      'usr/bin/zsh': '',
    });
    await chown(at('etc/shadow'), 0, 42);
    await chmod(at('etc/shadow'), 0o640);
  });
  const password = (value: string, hashed = false) => ({ value: { reveal: () => value }, hashed });
  const run = (settings: Omit<Parameters<typeof firstboot.run>[0], 'base'>) =>
    firstboot.run({ base: base(), ...settings }, bench.root, bench.context);

  it('sets what it is given, and leaves credentials for a pristine /etc', async () => {
    await run({
      locale: 'de_DE.UTF-8',
      keymap: 'de',
      timezone: 'Europe/Berlin',
      hostname: 'box',
      rootShell: '/usr/bin/zsh',
    });
    expect(await text('etc/locale.conf')).toBe('LANG="de_DE.UTF-8"\n');
    expect(await text('etc/vconsole.conf')).toBe('KEYMAP="de"\n');
    expect(await readlink(at('etc/localtime'))).toBe('../usr/share/zoneinfo/Europe/Berlin');
    expect((await text('etc/hostname')).trim()).toBe('box');
    expect(await text('etc/passwd')).toBe('root:x:0:0:root:/root:/usr/bin/zsh\n');
    expect(await text('etc/shadow')).toBe('root:*:20000:0:99999:7:::\n');
    expect(await readdir(at('usr/lib/credstore'))).toEqual([
      'firstboot.keymap',
      'firstboot.locale',
      'firstboot.timezone',
      'passwd.shell.root',
    ]);
  });

  it('writes where Debian looks', async () => {
    await writeFiles(bench.root, {
      'etc/debian_version': '13.1\n',
      'etc/default/keyboard': 'XKBLAYOUT="us"\n',
    });
    await symlink('default/keyboard', at('etc/vconsole.conf'));
    await run({ locale: 'C.UTF-8', localeMessages: 'de_DE.UTF-8', keymap: 'de' });
    expect(await readlink(at('etc/default/locale'))).toBe('../locale.conf');
    expect(await text('etc/default/locale')).toBe('LANG="C.UTF-8"\nLC_MESSAGES="de_DE.UTF-8"\n');
    expect(await readlink(at('etc/vconsole.conf'))).toBe('default/keyboard');
    expect(await text('etc/default/keyboard')).toBe('XKBLAYOUT="us"\nKEYMAP="de"\n');
  });

  it('hashes the password without showing it', async () => {
    const secret = 'correct horse battery staple';
    await run({ rootPassword: password(secret) });
    const shadow = await text('etc/shadow');
    const hash = shadow.split(':')[1] ?? '';
    const salt = hash.split('$')[2] ?? '';
    const { stdout } = await execute('openssl', ['passwd', '-6', '-salt', salt, secret]);
    expect(hash).toBe(stdout.trim());
    expect(shadow).toBe(`root:${hash}:20000:0:99999:7:::\n`);
    const { uid, gid, mode } = await lstat(at('etc/shadow'));
    expect([uid, gid, mode & 0o777]).toEqual([0, 42, 0o640]);
    const credential = at('usr/lib/credstore/passwd.hashed-password.root');
    expect(await readFile(credential, 'utf8')).toBe(hash);
    expect((await lstat(credential)).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(bench.events)).not.toContain(secret);
    expect(JSON.stringify(bench.events)).not.toContain(hash);
    await run({ rootPassword: password(secret) });
    expect(await text('etc/shadow')).toBe(shadow);
  });

  it('takes hashes as they are, and an empty password as none', async () => {
    await run({ rootPassword: password('$y$j9T$a$b', true) });
    expect(await text('etc/shadow')).toBe('root:$y$j9T$a$b:20000:0:99999:7:::\n');
    await run({ rootPassword: password('') });
    expect(await text('etc/shadow')).toBe('root::20000:0:99999:7:::\n');
  });

  it('writes no credentials into an initrd', async () => {
    await makeInitrd.run({ base: base(), isInitrd: true }, bench.root, bench.context);
    await run({ rootPassword: password('x') });
    expect(await exists(at('usr/lib/credstore'))).toBe(false);
  });

  it('refuses what the image does not have, and passwords that cannot be typed', async () => {
    await expect(run({ timezone: 'Europe/Atlantis' })).rejects.toMatchObject({ code: 'unknown-timezone' });
    await expect(run({ timezone: '../../etc/passwd' })).rejects.toMatchObject({ code: 'unknown-timezone' });
    await expect(run({ locale: 'a\nb' })).rejects.toMatchObject({ code: 'bad-first-boot-setting' });
    await expect(run({ rootShell: '/bin/fish' })).rejects.toMatchObject({ code: 'unknown-shell' });
    await expect(run({ rootPassword: password('a\nb') })).rejects.toMatchObject({
      code: 'bad-root-password',
    });
    await expect(run({ rootPassword: password('a:b', true) })).rejects.toMatchObject({
      code: 'bad-root-password',
    });
  });
});

describe('steps without tools', () => {
  it('identity says what the image is', async () => {
    await writeFiles(bench.root, {
      'usr/lib/os-release': 'ID=test\nIMAGE_ID=old\n',
      'etc/machine-id': '0123',
      'var/lib/dbus/machine-id': '0123',
    });
    await symlink('../usr/lib/os-release', at('etc/os-release'));
    const values = { imageId: 'web', imageVersion: '7', hostname: 'box', machineId: 'uninitialized' };
    await identity.run({ base: base(), ...values }, bench.root, bench.context);
    expect(await text('usr/lib/os-release')).toBe(
      'ID=test\nIMAGE_ID="web"\nIMAGE_VERSION="7"\nDEFAULT_HOSTNAME="box"\n',
    );
    expect((await lstat(at('etc/os-release'))).isSymbolicLink()).toBe(true);
    expect(await text('etc/machine-id')).toBe('uninitialized\n');
    expect((await lstat(at('etc/machine-id'))).mode & 0o777).toBe(0o444);
    expect(await exists(at('var/lib/dbus/machine-id'))).toBe(false);
    expect(await text('usr/lib/clock-epoch')).toBe('');
  });

  it('identity refuses a tree without an operating system', async () => {
    const run = identity.run({ base: base(), machineId: 'uninitialized' }, bench.root, bench.context);
    await expect(run).rejects.toMatchObject({ code: 'tree-not-populated' });
  });

  it('make-initrd links what systemd and the kernel look for', async () => {
    await writeFiles(bench.root, { 'usr/lib/os-release': 'ID=test\n', 'usr/lib/systemd/systemd': '' });
    await makeInitrd.run({ base: base(), isInitrd: true }, bench.root, bench.context);
    expect(await text('etc/initrd-release')).toBe('ID=test\n');
    expect(await readlink(at('init'))).toBe('usr/lib/systemd/systemd');
    await makeInitrd.run({ base: base(), isInitrd: true }, bench.root, bench.context);
  });

  it('autologin makes a drop-in for each getty', async () => {
    await autologin.run({ base: base(), architecture: 'arm64' }, bench.root, bench.context);
    expect(await readdir(at('usr/lib/systemd/system'))).toEqual([
      'console-getty.service.d',
      'getty@tty1.service.d',
      'serial-getty@hvc0.service.d',
      'serial-getty@ttyAMA0.service.d',
    ]);
  });

  it('remove-files removes what patterns match, and nothing behind links', async () => {
    const victim = await source('victim', { file: 'safe' });
    await writeFiles(bench.root, {
      'usr/share/doc/a/b': '',
      'usr/share/man/c': '',
      'etc/x.bak': '',
      'etc/x': '',
    });
    await symlink(victim, at('out'));
    const patterns = ['/usr/share/doc', 'usr/share/*/c', '**/*.bak', '/out/*', '/nothing/*'];
    await removeFiles.run({ base: base(), patterns }, bench.root, bench.context);
    expect(await readdir(at('usr/share'))).toEqual(['man']);
    expect(await readdir(at('usr/share/man'))).toEqual([]);
    expect(await readdir(at('etc'))).toEqual(['x']);
    expect(await readdir(victim)).toEqual(['file']);
  });

  it('clean-traces removes what the build left and keeps what programs need', async () => {
    await writeFiles(bench.root, {
      'dev/null-file': '',
      'run/lock/x': '',
      'tmp/x': '',
      'var/tmp/x': '',
      'var/cache/apt/archives/a.deb': '',
      'var/cache/debconf/config.dat': 'keep',
      'var/cache/debconf/config.dat-old': '',
      'var/cache/ldconfig/aux-cache': '',
      'var/lib/apt/lists/lock': '',
      'var/lib/dpkg/status': 'keep',
      'var/lib/dpkg/status-old': '',
      'var/lib/dpkg/lock-frontend': '',
      'var/lib/systemd/random-seed': 'x',
      'var/log/apt/term.log': 'x',
      'var/log/dpkg.log': 'x',
      'var/log/wtmp': 'x',
      'etc/.pwd.lock': '',
      'etc/.resolv.conf.systemd-resolved.bak': 'x',
      'etc/passwd-': '',
      'etc/resolv.conf': '',
      'etc/ssh/ssh_host_rsa_key': 'x',
      'etc/ssh/ssh_host_rsa_key.pub': 'x',
      'etc/ssh/sshd_config': 'keep',
    });
    await chmod(at('var/log/wtmp'), 0o664);
    await symlink('../../usr/share/doc/README.logs', at('var/log/README'));
    await cleanTraces.run({ base: base() }, bench.root, bench.context);
    const { stdout } = await execute('find', ['.', '!', '-type', 'd', '-printf', '%P\n'], {
      cwd: bench.root,
    });
    expect(stdout.trim().split('\n').sort()).toEqual([
      'etc/ssh/sshd_config',
      'var/cache/debconf/config.dat',
      'var/lib/dpkg/status',
      'var/log/README',
      'var/log/wtmp',
    ]);
    const { size, mode } = await lstat(at('var/log/wtmp'));
    expect([size, mode & 0o777]).toEqual([0, 0o664]);
    for (const kept of ['dev', 'run', 'tmp', 'var/tmp', 'var/cache/apt/archives', 'var/lib/apt/lists']) {
      expect((await lstat(at(kept))).isDirectory()).toBe(true);
    }
    expect(await readdir(at('run'))).toEqual([]);
  });

  it('clean-traces does not follow links out of the image', async () => {
    const victim = await source('victim', { file: 'safe', 'log/x.log': 'safe' });
    await mkdir(at('var'));
    await symlink(victim, at('tmp'));
    await symlink(join(victim, 'log'), at('var/log'));
    await cleanTraces.run({ base: base() }, bench.root, bench.context);
    expect((await readdir(victim)).sort()).toEqual(['file', 'log']);
    expect(await readdir(join(victim, 'log'))).toEqual(['x.log']);
  });
});
