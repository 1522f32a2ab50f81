/** What the sandbox tests run inside the namespaces: `sandbox-program.ts SCENARIO MODE DIRECTORY SLEEP`; prints one JSON value. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { MkimgError } from '../../src/base/errors.ts';
import { silentEvents } from '../../src/base/events.ts';
import { architectures, nativeArchitecture } from '../../src/distro/architectures/index.ts';
import { elfMagic } from '../../src/sandbox/emulation.ts';
import { currentMode, decidePrivileges, enterNamespace } from '../../src/sandbox/namespace.ts';
import { mountOverlay, mountReadOnly } from '../../src/sandbox/overlay.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import type { PrivilegeMode, RunRequest } from '../../src/sandbox/types.ts';

const [scenario = '', wanted = '', base = '', duration = ''] = process.argv.slice(2);
const directory = hostPath(base);
const tools = { kind: 'host' } as const;

function fresh(name: string): HostPath {
  const path = hostPath(join(directory, name));
  mkdirSync(path, { recursive: true });
  return path;
}

async function shell(
  mode: PrivilegeMode,
  script: string,
  request: Partial<RunRequest> = {},
): Promise<string> {
  const sandbox = createSandbox({ mode, tools, events: silentEvents });
  const purpose = 'running the test';
  const result = await sandbox.run({
    tool: 'sh',
    argv: ['-c', script],
    stdout: 'capture',
    purpose,
    ...request,
  });
  return result.stdout.trim();
}

/** A tree in which the machine's shell runs. */
function smallTree(name: string): HostPath {
  const tree = fresh(name);
  for (const link of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${link}`, join(tree, link));
  mkdirSync(join(tree, 'usr'));
  mkdirSync(join(tree, 'etc'));
  symlinkSync('../run/resolver/resolv.conf', join(tree, 'etc/resolv.conf'));
  return tree;
}

const usr = { source: hostPath('/usr'), target: '/usr', mode: 'ro' } as const;

async function look(mode: PrivilegeMode): Promise<unknown> {
  const fsyncNull = 'sync /dev/null 2>/dev/null && echo answered || echo done';
  return {
    ids: await shell(mode, 'id -u; id -g'),
    environment: await shell(mode, 'env | sort'),
    owner: await shell(mode, 'touch /tmp/f && chown 65534:1234 /tmp/f && stat -c %u:%g /tmp/f'),
    // fsync of a character device fails when it is really done.
    sync: await shell(mode, fsyncNull),
    realSync: await shell(mode, fsyncNull, { suppressSync: false }),
    interfaces: await shell(mode, 'ls /sys/class/net; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "'),
    online: await shell(mode, 'tail -n +3 /proc/net/dev | wc -l', { network: true }),
    processes: await shell(mode, 'ls -d /proc/[0-9]* | wc -l'),
    input: await shell(mode, 'cat', { input: 'from outside' }),
    noInput: await shell(mode, 'cat | wc -c'),
    // With the mode that they have, so that nothing is broken where this works.
    deviceMode: await shell(mode, 'chmod 0666 /dev/full 2>/dev/null; echo $?'),
    readOnly: await shell(mode, 'touch /usr/x /etc/passwd 2>/dev/null; echo $?'),
    // The first process there is bwrap, with the command line that all users of the machine see.
    commandLine: await shell(mode, 'tr "\\0" " " < /proc/1/cmdline', { env: { SECRET: 'xyzzy' } }),
  };
}

async function tree(mode: PrivilegeMode): Promise<unknown> {
  const lower = smallTree('tree-lower');
  const upper = fresh('tree-upper');
  {
    await using mounted = await mountOverlay({
      lowers: [lower],
      upper,
      work: fresh('tree-work'),
      target: fresh('tree-root'),
    });
    const script = [
      'echo x > /dev/null && echo null-works',
      'touch /run/a /tmp/b /var/tmp/c /etc/kept && chown 33:33 /etc/kept && stat -c %u /etc/kept',
      'cat /etc/resolv.conf > /tmp/r && [ -s /tmp/r ] && echo resolver',
      'touch /sys/x 2>/dev/null || echo sys-read-only',
      'ls /work/src',
    ].join('\n');
    const output = await shell(mode, script, {
      root: mounted.path,
      network: true,
      mounts: [usr, { source: fresh('sources/inner'), target: '/work/src/inner', mode: 'rw' }],
    });
    return { output: output.split('\n'), left: readdirSync(upper, { recursive: true }).sort() };
  }
}

/**
 * Runs a program of another architecture. Its emulator is one that tells how it is called instead: echo, among the tools.
 */
async function emulate(mode: PrivilegeMode): Promise<unknown> {
  const place = fresh("emulator's place");
  const architecture = nativeArchitecture() === 'arm64' ? 's390x' : 'arm64';
  const emulator = {
    architecture,
    program: hostPath(join(place, architectures[architecture].emulator)),
  } as const;
  copyFileSync('/usr/bin/echo', emulator.program);
  const { magic } = elfMagic(architectures[architecture].elf);
  const foreign = hostPath(join(place, 'foreign'));
  writeFileSync(foreign, Buffer.concat([magic, Buffer.alloc(100)]), { mode: 0o755 });
  const mounts = [{ source: foreign, target: '/run/foreign', mode: 'ro' }] as const;
  const ids = 'touch /tmp/f; chown 65534:1234 /tmp/f; stat -c %u:%g /tmp/f; id -u; id -g';
  const sandbox = createSandbox({ mode, tools, emulator, events: silentEvents });
  const run = async (script: string): Promise<string> => {
    const request = {
      tool: 'sh',
      argv: ['-c', script],
      stdout: 'capture',
      purpose: 'running the test',
    } as const;
    return (await sandbox.run({ ...request, mounts })).stdout.trim();
  };
  return {
    called: await run('/run/foreign one "t w o"'),
    ids: await run(ids),
    failed: await failure(run('exit 7')),
    // Of the namespace outside of the sandbox.
    list: existsSync('/proc/sys/fs/binfmt_misc/mkimg-' + architecture),
    bare: await shell(mode, '/run/foreign 2>/dev/null || echo $?', { mounts }),
  };
}

async function fail(mode: PrivilegeMode): Promise<unknown> {
  const mounted = await mountOverlay({
    lowers: [smallTree("it's a lower")],
    upper: fresh('fail,upper'),
    work: fresh('fail:work'),
    target: fresh('fail-root'),
  });
  const script = 'echo marked > /etc/mark; seq 200; printf "\\033[31mbad\\033[0m\\033[2J\\n" >&2; exit 7';
  const inTree = await failure(shell(mode, script, { root: mounted.path, mounts: [usr], stdout: 'events' }));
  const onHost = await failure(shell(mode, 'exit 3', { env: { GREETING: "it's me" } }));
  const absent = await failure(shell(mode, '', { tool: 'no-such-tool' }));
  return { inTree, onHost, absent };
}

async function failure(run: Promise<unknown>): Promise<unknown> {
  try {
    await run;
    return 'no failure';
  } catch (error) {
    if (!(error instanceof MkimgError)) throw error;
    return {
      code: error.code,
      message: error.message,
      hint: error.hint,
      tail: error.tail,
      reenter: error.reenter,
    };
  }
}

async function overlay(): Promise<unknown> {
  const lower = fresh('o-lower');
  for (const name of ['dir/a', 'dir/b', 'gone', 'both']) {
    mkdirSync(join(lower, name, '..'), { recursive: true });
    writeFileSync(join(lower, name), 'lower');
  }
  const upper = fresh('o-upper');
  {
    await using first = await mountOverlay({
      lowers: [lower],
      upper,
      work: fresh('o-work'),
      target: fresh('o-target'),
    });
    const { rmSync } = await import('node:fs');
    rmSync(join(first.path, 'gone'));
    rmSync(join(first.path, 'dir'), { recursive: true });
    mkdirSync(join(first.path, 'dir'));
    writeFileSync(join(first.path, 'dir/new'), 'upper');
    writeFileSync(join(first.path, 'both'), 'upper');
  }
  const many = Array.from({ length: 70 }, (_, index) => {
    const layer = fresh(`layer-${'0123456789abcdef'.repeat(4)}-${index}`);
    writeFileSync(join(layer, `only-${index}`), '');
    writeFileSync(join(layer, 'topmost'), String(index));
    return layer;
  });
  const result: Record<string, unknown> = { lower: readdirSync(lower).sort() };
  {
    await using merged = await mountReadOnly({ layers: [upper, lower], target: fresh('o-merged') });
    result['merged'] = readdirSync(merged.path, { recursive: true }).sort();
    result['both'] = readFileSync(join(merged.path, 'both'), 'utf8');
    result['write'] = writeError(join(merged.path, 'x'));
  }
  {
    await using merged = await mountReadOnly({ layers: many, target: fresh('o-merged') });
    result['many'] = readdirSync(merged.path).length;
    result['topmost'] = readFileSync(join(merged.path, 'topmost'), 'utf8');
  }
  {
    await using single = await mountReadOnly({ layers: [lower], target: fresh('o-merged') });
    result['single'] = readdirSync(single.path).sort();
    result['singleWrite'] = writeError(join(single.path, 'x'));
  }
  const impossible = mountReadOnly({ layers: [upper, hostPath('/nonexistent')], target: fresh('o-merged') });
  result['impossible'] = await impossible.then(
    () => 'mounted',
    (error: unknown) => (error instanceof MkimgError ? error.code : String(error)),
  );
  result['leftMounted'] = readFileSync('/proc/self/mountinfo', 'utf8').includes('o-merged');
  return result;
}

function writeError(path: string): string {
  try {
    writeFileSync(path, '');
    return 'written';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

async function abort(mode: PrivilegeMode): Promise<unknown> {
  const controller = new AbortController();
  const sandbox = createSandbox({ mode, tools, events: silentEvents, signal: controller.signal });
  const running = failure(
    sandbox.run({
      tool: 'sh',
      argv: ['-c', 'trap "" TERM; sleep "$0" & wait; wait', duration],
      purpose: 'sleeping',
    }),
  );
  await delay(500);
  const begin = Date.now();
  controller.abort();
  const error = await running;
  const again = await failure(sandbox.run({ tool: 'true', argv: [], purpose: 'running after the abort' }));
  return { error, again, milliseconds: Date.now() - begin };
}

/** Aborts runs in each moment of bwrap's set-up. */
async function abortEarly(mode: PrivilegeMode): Promise<unknown> {
  const errors: unknown[] = [];
  for (let milliseconds = 0; milliseconds < 40; milliseconds++) {
    const controller = new AbortController();
    const sandbox = createSandbox({ mode, tools, events: silentEvents, signal: controller.signal });
    const running = failure(sandbox.run({ tool: 'sleep', argv: [duration], purpose: 'sleeping' }));
    await delay(milliseconds);
    controller.abort();
    errors.push(await running);
  }
  return errors;
}

/** Runs until it is interrupted, and says how often it was. */
async function hang(mode: PrivilegeMode): Promise<unknown> {
  const controller = new AbortController();
  let interrupts = 0;
  process.on('SIGINT', () => {
    interrupts++;
    controller.abort();
  });
  process.on('SIGTERM', () => controller.abort());
  const sandbox = createSandbox({ mode, tools, events: silentEvents, signal: controller.signal });
  writeFileSync(join(directory, 'inner.pid'), String(process.pid));
  const error = await failure(
    sandbox.run({
      tool: 'sh',
      argv: ['-c', 'touch /flag/running; sleep "$0"', duration],
      purpose: 'sleeping',
      mounts: [{ source: directory, target: '/flag', mode: 'rw' }],
    }),
  );
  await delay(300);
  process.exitCode = 42;
  return { error, interrupts };
}

async function flood(mode: PrivilegeMode): Promise<unknown> {
  const before = process.memoryUsage().rss;
  let lines = 0;
  let highest = 0;
  const events = {
    emit: () => {
      lines++;
      if (lines % 100_000 === 0) highest = Math.max(highest, process.memoryUsage().rss);
    },
  };
  const sandbox = createSandbox({ mode, tools, events });
  await sandbox.run({
    tool: 'sh',
    argv: ['-c', 'yes a line of output | head -c 60000000'],
    purpose: 'flooding',
  });
  await sandbox.run({
    tool: 'sh',
    argv: ['-c', 'head -c 60000000 /dev/zero'],
    purpose: 'writing one long line',
  });
  const file = hostPath(join(directory, 'flood'));
  const stdout = { file };
  await sandbox.run({
    tool: 'head',
    argv: ['-c', '60000000', '/dev/zero'],
    stdout,
    purpose: 'writing a file',
  });
  highest = Math.max(highest, process.memoryUsage().rss);
  return { lines, grown: highest - before, file: statSync(file).size };
}

const scenarios: Readonly<Record<string, (mode: PrivilegeMode) => Promise<unknown>>> = {
  look,
  tree,
  emulate,
  fail,
  overlay,
  abort,
  abortEarly,
  hang,
  flood,
};

const mode = currentMode();
if (scenario === 'decide') {
  process.stdout.write(JSON.stringify(await decidePrivileges()));
} else if (mode === undefined) {
  const chosen = (['root', 'subids', 'single-id'] as const).find((name) => name === wanted) ?? 'single-id';
  const main = process.argv[1] ?? '';
  if (!existsSync(main)) throw new Error('no main');
  process.exitCode = await enterNamespace({ mode: chosen, main, args: process.argv.slice(2) });
} else {
  process.stdout.write(JSON.stringify(await scenarios[scenario]?.(mode)));
}
