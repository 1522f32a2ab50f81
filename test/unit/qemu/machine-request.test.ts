import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { buildable } from '../../../src/config/buildable.ts';
import type { BuildableConfig } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import type { MachineInputs } from '../../../src/qemu/machine-request.ts';
import { commandLine, describeMachine, pathsInArguments } from '../../../src/qemu/machine-request.ts';
import { x86_64 } from '../../../src/qemu/machines/x86-64.ts';
import { memoryProject } from '../../helpers/memory-files.ts';

async function configOf(flags: Readonly<Record<string, string>> = {}): Promise<BuildableConfig> {
  const loaded = await loadProject(memoryProject({ 'mkimg.conf': '[Output]\nFormat=cpio\n' }, flags));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
  return buildable(loaded.value.main.config);
}

async function inputs(changes: Partial<MachineInputs> = {}, flags = {}): Promise<MachineInputs> {
  return {
    config: await configOf(flags),
    machine: x86_64,
    source: {
      firmware: 'none',
      kernel: { path: hostPath('/o/k'), initrd: hostPath('/o/i'), unified: false },
      commandLine: ['quiet'],
    },
    accelerator: 'tcg',
    tools: { kind: 'tree', path: hostPath('/no/such/tree') },
    ephemeral: true,
    drives: [],
    console: 'socket',
    unattended: true,
    extraArguments: [],
    workingDirectory: hostPath('/tmp'),
    runProgram: () => Promise.resolve({ ok: false, reason: 'exit code 3: no token' }),
    ...changes,
  };
}

describe('describeMachine', () => {
  it('takes credentials from files, and runs those that are programs', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mkimg-credentials-'));
    try {
      const token = join(directory, 'token');
      await writeFile(join(directory, 'plain'), 'text\n');
      await writeFile(token, '#!/bin/sh\n', { mode: 0o755 });
      const config = {
        ...(await configOf()),
        Credentials: ['plain', 'token'].map((name) => ({ name, file: hostPath(join(directory, name)) })),
      };
      const asked: string[] = [];
      const runProgram: MachineInputs['runProgram'] = ({ program }) => {
        asked.push(program);
        return Promise.resolve({ ok: true, output: 'made\n' });
      };
      const { credentials } = await describeMachine(await inputs({ config, runProgram }));
      expect(credentials.map(({ name, value }) => [name, value.toString()])).toEqual([
        ['plain', 'text\n'],
        ['token', 'made\n'],
      ]);
      expect(asked).toEqual([token]);
      await expect(describeMachine(await inputs({ config }))).rejects.toMatchObject({
        code: 'credential-program',
        message: 'the program of a credential failed: exit code 3: no token',
        origin: { kind: 'path', path: token },
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('takes its size and its network from the settings', async () => {
    const request = await describeMachine(
      await inputs({}, { CPUs: '3', RAM: '512M', RuntimeNetwork: 'none', Credentials: 'a=b' }),
    );
    expect(request).toMatchObject({ cpus: 3, memory: 512 * 2 ** 20, network: 'none', tpm: false });
    expect(request.credentials.map(({ name, value }) => [name, Buffer.from(value).toString()])).toEqual([
      ['a', 'b'],
    ]);
  });

  it('stands for all CPUs with 0', async () => {
    expect((await describeMachine(await inputs({}, { CPUs: '0' }))).cpus).toBeGreaterThan(0);
  });

  it('names the package of firmware that is missing', async () => {
    const source = { firmware: 'uefi', disk: hostPath('/o/d'), commandLine: [] } as const;
    await expect(describeMachine(await inputs({ source }))).rejects.toMatchObject({
      code: 'firmware-missing',
      hint: expect.stringContaining('ovmf') as string,
    });
  });

  it('gives a TPM to whom asks for it, and to no test otherwise', async () => {
    const wishes = await Promise.all(
      ['yes', 'no', 'auto'].map(async (TPM) => (await describeMachine(await inputs({}, { TPM }))).tpm),
    );
    expect(wishes).toEqual([true, false, false]);
  });

  it('shows QEMU the directory that extra arguments count from', async () => {
    const request = await describeMachine(await inputs({ extraArguments: ['-cdrom', 'x.iso'] }));
    expect(request.workingDirectory).toBe('/tmp');
    expect(request.extraMounts).toEqual([{ source: '/tmp', target: '/tmp', mode: 'rw' }]);
    const without = await describeMachine(await inputs());
    expect([without.workingDirectory, without.extraMounts]).toEqual([undefined, []]);
  });
});

describe('the image’s disk', () => {
  const disk = async (flags: object): Promise<unknown> => {
    const source = { firmware: 'uefi', disk: hostPath('/o/image.raw'), commandLine: [] } as const;
    const made = await inputs({ source }, flags);
    const request = describeMachine({
      ...made,
      tools: { kind: 'host' },
      ephemeral: false,
      source: { ...source, firmware: 'none' },
    });
    return (await request).disks[0];
  };

  it('is of the kind that DiskType= says, and a SCSI disk where it can be removed', async () => {
    expect(await disk({})).toMatchObject({ device: 'virtio-blk', bootIndex: 1 });
    expect(await disk({ DiskType: 'nvme' })).toMatchObject({ device: 'nvme' });
    expect(await disk({ Removable: 'yes' })).toMatchObject({ device: 'virtio-scsi', removable: true });
    expect(await disk({ Removable: 'yes', DiskType: 'nvme' })).toMatchObject({ device: 'nvme' });
  });
});

describe('what somebody who works with the machine gets', () => {
  const guestAccess = { authorized: ['ecdsa-sha2-nistp256 AAAA'], name: 'web' };

  it('is a way in, beside the ports and credentials of the settings', async () => {
    const flags = { RuntimePorts: '8080:80', Credentials: 'ssh.authorized_keys.root=mine' };
    const request = await describeMachine(await inputs({ guestAccess }, flags));
    expect(request.forwards).toEqual([
      { protocol: 'tcp', host: 8080, guest: 80 },
      { protocol: 'tcp', host: 0, guest: 22 },
    ]);
    const keys = request.credentials.find(({ name }) => name === 'ssh.authorized_keys.root');
    expect(String(keys?.value)).toBe('mine\necdsa-sha2-nistp256 AAAA\n');
  });

  it('is nothing for a test, and no port without a user network', async () => {
    const test = await describeMachine(await inputs({}, { RuntimePorts: '8080:80' }));
    expect([test.forwards, test.credentials]).toEqual([undefined, []]);
    const apart = await describeMachine(await inputs({ guestAccess }, { RuntimeNetwork: 'none' }));
    expect([apart.network, apart.forwards]).toEqual(['none', []]);
  });

  it('are directories that are served by QEMU where nobody else can', async () => {
    const { shares, credentials } = await describeMachine(
      await inputs({}, { RuntimeTrees: '/srv:/srv/here' }),
    );
    expect(shares).toEqual([{ tag: 'mkimg0', path: '/srv', via: '9p' }]);
    expect(String(credentials[0]?.value)).toMatch(/^mkimg0 \/srv\/here 9p /);
  });
});

describe('the kernel command line', () => {
  it('ends with the words of the user, who has the last say', async () => {
    const extra = { KernelCommandLineExtra: 'console=tty0 debug' };
    expect(commandLine(await inputs({}, extra))).toEqual(['quiet', 'console=ttyS0', 'console=tty0', 'debug']);
  });

  it('tells the guest about the terminal, and opens a rescue shell for somebody who sits there', async () => {
    const terminal = { type: 'xterm-256color', columns: 132, rows: 50 };
    expect(commandLine(await inputs({ terminal, unattended: false }))).toEqual([
      'quiet',
      'console=ttyS0',
      'systemd.tty.term.ttyS0=xterm-256color',
      'systemd.tty.columns.ttyS0=132',
      'systemd.tty.rows.ttyS0=50',
      'SYSTEMD_SULOGIN_FORCE=1',
    ]);
  });

  it('writes to the screen as well where there is one, and takes a window for the first console', async () => {
    const consoles = async (display: 'spare' | 'hidden' | 'window'): Promise<readonly string[]> =>
      commandLine(await inputs({ display })).filter((word) => word.startsWith('console='));
    expect(await consoles('spare')).toEqual(['console=ttyS0']);
    expect(await consoles('hidden')).toEqual(['console=tty0', 'console=ttyS0']);
    expect(await consoles('window')).toEqual(['console=ttyS0', 'console=tty0']);
  });
});

describe('pathsInArguments', () => {
  it.each([
    [['-cdrom', '/srv/x.iso'], ['/srv/x.iso']],
    [['-drive', 'if=none,id=a,file=/srv/a,format=raw'], ['/srv/a']],
    [['-device', 'vfio-pci,host=0000:01:00.0', '-cpu', 'host'], []],
    [['-virtfs', 'local,path=/home/u/share,mount_tag=x'], ['/home/u/share']],
    [['-bios', '/usr/share/seabios/bios.bin', '-x', '/proc/self', 'file=/images/mkimg'], []],
    [['file=/srv/../etc/passwd', 'a/b'], []],
    [
      ['-initrd', '/srv/a,b'],
      ['/srv/a,b', '/srv/a'],
    ],
  ])('finds in %j: %j', (words, paths) => {
    expect(pathsInArguments(words).filter((path) => path !== '/')).toEqual(
      paths.filter((path) => path !== '/'),
    );
  });

  it('never shows the whole machine', () => {
    expect(pathsInArguments(['/', 'file=/'])).toEqual([]);
  });
});
