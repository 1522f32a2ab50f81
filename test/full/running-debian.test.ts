/** What one does with a Debian that runs: log in, reach its ports, share a directory, read its journal then and later. */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isErrno } from '../../src/base/errors.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { CliOptions, CliResult, RunningMkimg } from '../helpers/cli.ts';
import { mkimg, startMkimg } from '../helpers/cli.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';
import { vmTools } from '../helpers/tools.ts';

const repository = resolve(import.meta.dirname, '../..');
const port = 18_022;

interface Caller {
  readonly options: CliOptions;
  /** Flags that go before all others. */
  readonly flags: readonly string[];
}

/** How root, or whoever runs the tests, calls mkimg. */
function oneself(directory: string): Caller {
  return {
    options: { env: { XDG_RUNTIME_DIR: join(directory, 'runtime') } },
    flags: ['-C', join(repository, 'images/debian')],
  };
}

/** How an ordinary user does, who has tools and an image that root made. */
async function ordinaryUser(directory: TemporaryDirectory): Promise<Caller> {
  const tools = await vmTools();
  const prefix = await ordinaryUserPrefix({
    scratch: directory.path,
    hasSubordinateIds: false,
    binds: { mkimg: repository, ...(tools.kind === 'tree' ? { tools: tools.path } : {}) },
  });
  for (const name of ['output', 'shared', 'runtime'])
    spawnSync('chown', [
      '--recursive',
      '--reference',
      join(directory.path, 'home'),
      join(directory.path, name),
    ]);
  return {
    options: { prefix, program: join(directory.path, 'mkimg/dist/cli/main.js') },
    flags: [
      ...['-C', join(directory.path, 'mkimg/images/debian')],
      ...(tools.kind === 'tree' ? [`--tools-tree=${directory.path}/tools`] : []),
    ],
  };
}

const callers = [
  { name: 'the one who runs the tests', isUser: false },
  ...(isRoot ? [{ name: 'an ordinary user', isUser: true }] : []),
];

describe.each(callers)('a machine of $name', ({ isUser }) => {
  let directory: TemporaryDirectory;
  let caller: Caller;
  let machine: RunningMkimg;

  function words(...argv: readonly string[]): readonly string[] {
    return [...caller.flags, `--output-directory=${directory.path}/output`, ...argv];
  }

  function run(...argv: readonly string[]): Promise<CliResult> {
    return mkimg(words(...argv), caller.options);
  }

  beforeAll(async () => {
    directory = await temporaryDirectory('/var/tmp', 'mkimg-running-test-');
    await mkdir(join(directory.path, 'runtime'), { mode: 0o700 });
    for (const name of ['shared', 'output']) await mkdir(join(directory.path, name));
    await writeFile(join(directory.path, 'shared/question'), 'who are you?\n');
    caller = oneself(directory.path);
    const { code, stderr } = await run('build');
    expect(code, stderr).toBe(0);
    if (isUser) caller = await ordinaryUser(directory);
    const flags = [
      ...['--console=headless', `--runtime-tree=${directory.path}/shared:/srv/shared`],
      `--runtime-port=${port}:22`,
    ];
    machine = await startMkimg(words(...flags, 'qemu'), caller.options);
    await machine.said('debian runs');
  });
  afterAll(async () => {
    // The last test ends it; one that failed before leaves it running.
    try {
      machine.kill('SIGTERM');
    } catch (error) {
      if (!isErrno(error, 'ESRCH')) throw error;
    }
    await machine.ended;
    await directory[Symbol.asyncDispose]();
  });

  it('is logged in to by ssh, with a directory and a port of the host', async () => {
    const script =
      'cat /srv/shared/question; hostname >/srv/shared/answer; systemctl is-system-running --wait; exit 7';
    const { code, stdout, stderr } = await run('ssh', '--', script);
    expect(stdout, stderr).toBe('who are you?\nrunning\n');
    expect(code).toBe(7);
    expect(await readFile(join(directory.path, 'shared/answer'), 'utf8')).toBe('debian\n');
    const socket = connect(port, '127.0.0.1');
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(greeting.toString()).toMatch(/^SSH-2\.0-/);
  });

  it('shows its journal while it runs, and afterwards', async () => {
    const reading = ['journalctl', '--', '-t', 'marker', '-o', 'cat'];
    expect((await run('ssh', '--', 'logger -t marker "it was here"; journalctl --sync')).code).toBe(0);
    expect((await run(...reading)).stdout.trim()).toBe('it was here');
    // Asks the guest to switch itself off, so that all that it logged is written.
    machine.kill('SIGTERM');
    const { code: exitCode, stderr: said } = await machine.ended;
    expect(exitCode).toBe(130);
    expect(said).toContain('Asked debian to switch itself off');
    const { code, stdout, stderr } = await run(...reading);
    expect(stdout.trim(), stderr).toBe('it was here');
    expect(code).toBe(0);
    const end = await run('journalctl', '--', '-b', '-o', 'cat');
    expect(end.stdout).toMatch(/Power key pressed/);
  });
});
