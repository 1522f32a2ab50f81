import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { silentEvents } from '../../../../src/base/events.ts';
import type { TemporaryDirectory } from '../../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import { buildable } from '../../../../src/config/buildable.ts';
import { loadProject } from '../../../../src/config/project.ts';
import type { TestAction, TestStep } from '../../../../src/config/tests/definition.ts';
import { x86_64 } from '../../../../src/qemu/machines/x86-64.ts';
import { DiskCopies } from '../../../../src/qemu/testing/disk-copies.ts';
import type { TestInputs, TestMachinesRequest } from '../../../../src/qemu/testing/machines.ts';
import { describeTestMachine } from '../../../../src/qemu/testing/machines.ts';
import type { BootAction } from '../../../../src/qemu/testing/session.ts';
import { memoryProject } from '../../../helpers/memory-files.ts';

let directory: TemporaryDirectory;

beforeAll(async () => {
  directory = await temporaryDirectory('/tmp', 'mkimg-test-machines-');
  const firmware = join(directory.path, 'usr/share/OVMF');
  await mkdir(firmware, { recursive: true });
  for (const name of ['OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd']) await writeFile(join(firmware, name), '');
  for (const name of ['main.raw', 'second.raw']) await writeFile(join(directory.path, name), name);
});
afterAll(() => directory[Symbol.asyncDispose]());

async function inputsOf(name: string): Promise<TestInputs> {
  const loaded = await loadProject(memoryProject({ 'mkimg.conf': '[Output]\nFormat=disk\n' }, {}));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
  return {
    config: { ...buildable(loaded.value.main.config), OutputDirectory: directory.path },
    machine: x86_64,
    source: { firmware: 'none', disk: hostPath(join(directory.path, `${name}.raw`)), commandLine: [] },
    extraArguments: [],
    workingDirectory: hostPath('/tmp'),
    runProgram: () => Promise.reject(new Error('no program runs here')),
  };
}

function step(action: TestAction): TestStep {
  return { action, label: '', timeout: undefined, origin: { kind: 'default' } };
}

async function machines(changes: Partial<TestMachinesRequest> = {}): Promise<TestMachinesRequest> {
  return {
    steps: [],
    inputs: await inputsOf('main'),
    others: new Map([['second', await inputsOf('second')]]),
    drives: [{ id: 'target', path: hostPath('/var/tmp/target'), device: 'virtio-blk', discardWrites: false }],
    accelerator: 'tcg',
    host: {
      tools: { kind: 'tree', path: directory.path },
      events: silentEvents,
      scratch: directory.path,
    },
    copies: undefined,
    memory: undefined,
    ...changes,
  };
}

const boot: BootAction = { kind: 'boot', goal: 'up' };

describe('the machine of a test', () => {
  it('throws away what one boot writes, and forgets it', async () => {
    const { machine } = await describeTestMachine(await machines(), boot);
    expect(machine.disks.map(({ id, discardWrites }) => [id, discardWrites])).toEqual([
      ['mkimg', true],
      ['target', false],
    ]);
    expect(machine).not.toHaveProperty('tpmState');
    expect(machine).not.toHaveProperty('firmwareState');
    expect(machine.endOnRestart).toBe(true);
  });

  it('hands disks, TPM and firmware on from one to the next', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-test-machines-');
    const request = await machines({ copies: new DiskCopies(scratch.path), memory: scratch.path });
    const first = (await describeTestMachine(request, boot)).machine;
    const second = (await describeTestMachine(request, { ...boot, image: 'second' })).machine;
    expect(first.disks.map(({ id }) => id)).toEqual(['mkimg', 'target']);
    // The disk of the image that is booted, the drive, and the disk of the image that ran before.
    expect(second.disks.map(({ id, bootIndex }) => [id, bootIndex])).toEqual([
      ['mkimg1', 1],
      ['target', undefined],
      ['mkimg', undefined],
    ]);
    expect(second.disks.at(-1)?.path).toBe(first.disks[0]?.path);
    expect(second.firmwareState).toBe(first.firmwareState);
    expect(second.tpmState).toBe(first.tpmState);
    expect((await stat(String(first.tpmState))).mode & 0o777).toBe(0o700);
  });

  it('has nothing but the drives when it boots from one of them', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-test-machines-');
    const request = await machines({ copies: new DiskCopies(scratch.path), memory: scratch.path });
    await describeTestMachine(request, boot);
    const { machine } = await describeTestMachine(request, { ...boot, drive: 'target' });
    expect(machine.disks.map(({ id, bootIndex }) => [id, bootIndex])).toEqual([['target', 1]]);
    expect(machine.firmware?.code).toBe('/usr/share/OVMF/OVMF_CODE_4M.fd');
  });

  it('has a screen in any case, which the kernel writes to where a step looks at it', async () => {
    const screen = step({ kind: 'screenshot', name: 'a' });
    for (const [steps, display, consoles] of [
      [[], 'spare', ['console=ttyS0']],
      [[screen], 'hidden', ['console=tty0', 'console=ttyS0']],
    ] as const) {
      const { machine } = await describeTestMachine(await machines({ steps }), boot);
      expect(machine.display).toBe(display);
      expect(machine.commandLine.filter((word) => word.startsWith('console='))).toEqual(consoles);
    }
  });

  it('goes on after a restart, and has a disk that can be unplugged, where steps want that', async () => {
    const steps = [step({ kind: 'power', change: 'reboot' }), step({ kind: 'unplug', drive: 'target' })];
    const { machine } = await describeTestMachine(await machines({ steps }), boot);
    expect(machine.endOnRestart).toBe(false);
    expect(machine.disks.at(-1)?.device).toBe('virtio-scsi');
  });
});
