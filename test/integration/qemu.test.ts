import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { BootResult } from '../../src/qemu/boot-test.ts';
import { runBootTest } from '../../src/qemu/boot-test.ts';
import { judgeProbe } from '../../src/qemu/kvm.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';
import { runProbe } from '../../src/qemu/probe/run.ts';
import { member } from '../../src/qemu/qmp.ts';
import { runVm } from '../../src/qemu/run.ts';
import type { VmHost } from '../../src/qemu/vm.ts';
import { startVm } from '../../src/qemu/vm.ts';
import { bareMachine } from '../helpers/bare-machine.ts';
import type { BootSectorEnd } from '../helpers/boot-sector.ts';
import { bootSector } from '../helpers/boot-sector.ts';
import { until } from '../helpers/cli.ts';
import { transpileInto } from '../helpers/transpiled.ts';
import { vmTools } from '../helpers/tools.ts';

let directory: TemporaryDirectory;
let host: VmHost;
/** Where machines put their files: empty when nothing is left behind. */
let scratch: HostPath;

beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-qemu-test-');
  const machines = await temporaryDirectory(directory.path, 'machines-');
  scratch = machines.path;
  host = { tools: await vmTools(), events: silentEvents, scratch };
});
afterAll(() => directory[Symbol.asyncDispose]());

async function disk(text: string, end: BootSectorEnd): Promise<HostPath> {
  const path = hostPath(
    join(
      directory.path,
      `${createHash('sha256')
        .update(text + end)
        .digest('hex')}.raw`,
    ),
  );
  await writeFile(path, bootSector(text, end));
  return path;
}

interface Watched {
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
  readonly channel?: 'console' | 'unit';
}

async function boot(text: string, end: BootSectorEnd, watched: Watched = {}): Promise<BootResult> {
  return runBootTest(
    {
      machine: bareMachine(await disk(text, end)),
      channel: watched.channel ?? 'console',
      timeoutSeconds: watched.timeoutSeconds ?? 60,
      timeScale: 1,
      results: directory.path,
      signal: watched.signal ?? new AbortController().signal,
    },
    host,
  );
}

function outcome({ verdict }: BootResult): string {
  return verdict.outcome === 'passed' ? 'passed' : verdict.reason;
}

describe('a boot test', () => {
  it('passes a guest that shows a login prompt', async () => {
    const result = await boot('\u001b[0;32mbooting\u001b[0m\r\nguest login: ', 'hang');
    expect(outcome(result)).toBe('passed');
    expect(result.consoleTail).toContain('booting');
    expect(result.secondsToReport).toBeGreaterThan(0);
    expect(await readFile(join(directory.path, 'console.log'), 'latin1')).toContain('\u001b[0;32mbooting');
    expect(result.commandLine[0]).toBe(x86_64.program);
  });

  it.each<{ reason: string; text: string; end: BootSectorEnd; watched?: Watched }>([
    { reason: 'kernel-panic', text: 'Kernel panic - not syncing: for a test\r\n', end: 'hang' },
    { reason: 'early-power-off', text: 'good bye\r\n', end: 'power-off' },
    { reason: 'guest-restarted', text: 'once more\r\n', end: 'reset' },
    { reason: 'timeout', text: 'and then\r\n', end: 'hang', watched: { timeoutSeconds: 3 } },
    {
      reason: 'timeout',
      text: 'guest login: ',
      end: 'hang',
      watched: { timeoutSeconds: 3, channel: 'unit' },
    },
  ])('$reason: a guest that writes $text', async ({ reason, text, end, watched }) => {
    const result = await boot(text, end, watched);
    expect(outcome(result)).toBe(reason);
    expect(result.consoleTail.join('\n')).toContain(text.trim());
  });

  it('ends when it is interrupted', async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 1500);
    const result = await boot('wait', 'hang', { signal: abort.signal });
    expect(outcome(result)).toBe('interrupted');
    expect(result.seconds).toBeLessThan(10);
  });

  it('leaves nothing behind', async () => {
    expect(await readdir(scratch)).toEqual([]);
  });
});

describe('a machine', () => {
  it('answers on its control socket, and ends when asked', async () => {
    await using vm = await startVm(bareMachine(await disk('x', 'hang')), host, () => undefined);
    expect(member(await vm.qmp.execute('query-status'), 'status')).toBe('running');
    await vm.stop();
    expect((await vm.ended).exitCode).toBe(0);
  });

  it('shows a larger disk without touching the image', async () => {
    const path = await disk('grow', 'hang');
    const before = await readFile(path);
    const disks = [{ id: 'mkimg', path, device: 'virtio-blk', discardWrites: true, size: 2 ** 30 }] as const;
    await using vm = await startVm(bareMachine(path, { disks }), host, () => undefined);
    const blocks = await vm.qmp.execute('query-block');
    expect(JSON.stringify(blocks)).toContain(`"virtual-size": ${2 ** 30}`.replace(' ', ''));
    expect(await readFile(path)).toEqual(before);
    expect((await stat(path)).size).toBe(before.length);
  });

  it.each(['virtio-blk', 'virtio-scsi', 'nvme', 'scsi-cd'] as const)(
    'has a disk of the kind %s',
    async (device) => {
      const path = await disk('kind', 'hang');
      const disks = [
        { id: 'mkimg', path, device, removable: device === 'virtio-scsi', discardWrites: true, bootIndex: 1 },
      ];
      await using vm = await startVm(bareMachine(path, { disks }), host, () => undefined);
      const blocks = JSON.stringify(await vm.qmp.execute('query-block'));
      expect(blocks).toContain('/images/mkimg');
      expect(blocks).toContain(`"removable":${device === 'virtio-scsi' || device === 'scsi-cd'}`);
    },
  );

  it('takes credentials, a TPM, ports, a network and further arguments at once', async () => {
    const request = bareMachine(await disk('all', 'hang'), {
      credentials: [
        { name: 'small', value: Buffer.from('secret') },
        { name: 'large', value: Buffer.alloc(100_000) },
      ],
      tpm: true,
      ports: ['mkimg.0', 'mkimg.1'],
      network: 'user',
      extraArguments: ['-name', 'guest=mkimg-test'],
    });
    await using vm = await startVm(request, host, () => undefined);
    expect(member(await vm.qmp.execute('query-name'), 'name')).toBe('mkimg-test');
    expect(JSON.stringify(await vm.qmp.execute('query-tpm'))).toContain('tpm0');
    expect(vm.ports.length).toBe(2);
    expect(vm.commandLine.join(' ')).not.toContain(Buffer.from('secret').toString('base64'));
  });

  it('says what QEMU said when it does not start', async () => {
    const request = bareMachine(await disk('x', 'hang'), { extraArguments: ['-device', 'nonsense'] });
    await expect(startVm(request, host, () => undefined)).rejects.toMatchObject({
      code: 'qemu-failed',
      message: expect.stringContaining('nonsense') as string,
    });
  });

  it('names the package when there is no QEMU', async () => {
    const absent = { ...x86_64, program: 'qemu-system-absent' };
    const request = bareMachine(await disk('x', 'hang'), { machine: absent });
    await expect(startVm(request, host, () => undefined)).rejects.toMatchObject({
      code: 'tool-missing',
      hint: expect.stringContaining('qemu-system-x86') as string,
    });
  });

  it('runs to its end, and is interrupted on demand', async () => {
    const never = new AbortController().signal;
    expect(await runVm(bareMachine(await disk('bye', 'power-off')), host, { signal: never })).toBe(0);
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 1000);
    await expect(runVm(bareMachine(await disk('x', 'hang')), host, abort)).rejects.toMatchObject({
      code: 'interrupted',
    });
  });

  it('dies with mkimg, however that dies', async () => {
    const program = join(directory.path, 'program');
    transpileInto(program, [
      'src/base',
      'src/config',
      'src/distro',
      'src/formats',
      'src/plan',
      'src/sandbox',
      'src/qemu',
      'test/helpers/bare-machine.ts',
      'test/helpers/vm-program.ts',
    ]);
    await symlink(resolve(import.meta.dirname, '../../node_modules'), join(program, 'node_modules'));
    const image = await disk('wait', 'hang');
    const tools = host.tools.kind === 'host' ? 'host' : host.tools.path;
    const place = await temporaryDirectory(directory.path, 'killed-');
    const child = spawn(
      process.execPath,
      [join(program, 'test/helpers/vm-program.js'), image, tools, place.path],
      { stdio: 'inherit' },
    );
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    await until(async () => (await machinesOf(image)) > 0);
    child.kill('SIGKILL');
    await ended;
    await until(async () => (await machinesOf(image)) === 0);
  });

  it('leaves nothing behind', async () => {
    expect(await readdir(scratch)).toEqual([]);
  });
});

/** How many processes see this image as a disk of theirs. */
async function machinesOf(image: HostPath): Promise<number> {
  const tables = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const seen = await Promise.all(
    tables.map((pid) => readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')),
  );
  return seen.filter((table) => table.includes(`${image.split('/').at(-1) ?? ''} /images/mkimg`)).length;
}

describe('the probe for KVM', () => {
  it('runs a guest to its end in software', async () => {
    expect(judgeProbe(await runProbe(x86_64, 'tcg', host))).toEqual({ usable: true });
  });
});
