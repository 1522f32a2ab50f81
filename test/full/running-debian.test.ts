/** What one does with a Debian that runs: log in, reach its ports, share a directory, read its journal then and later. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isErrno } from '../../src/base/errors.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { CliResult, RunningMkimg } from '../helpers/cli.ts';
import { mkimg, startMkimg } from '../helpers/cli.ts';

const image = resolve(import.meta.dirname, '../../images/debian');
const port = 18_022;

let directory: TemporaryDirectory;
let env: Readonly<Record<string, string>>;
let machine: RunningMkimg;

function run(...argv: readonly string[]): Promise<CliResult> {
  return mkimg(['-C', image, `--output-directory=${directory.path}`, ...argv], { env });
}

beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-running-test-');
  await mkdir(join(directory.path, 'runtime'), { mode: 0o700 });
  await mkdir(join(directory.path, 'shared'));
  await writeFile(join(directory.path, 'shared/question'), 'who are you?\n');
  env = { XDG_RUNTIME_DIR: join(directory.path, 'runtime') };
  const { code, stderr } = await run('build');
  expect(code, stderr).toBe(0);
  const flags = [
    ...['--console=headless', `--runtime-tree=${directory.path}/shared:/srv/shared`],
    `--runtime-port=${port}:22`,
  ];
  machine = await startMkimg(['-C', image, `--output-directory=${directory.path}`, ...flags, 'qemu'], {
    env,
  });
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
