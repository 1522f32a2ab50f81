import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { buildable } from '../../../../src/config/buildable.ts';
import { loadProject } from '../../../../src/config/project.ts';
import type { ArchitectureName } from '../../../../src/distro/architectures/index.ts';
import type { GuestChannelKind } from '../../../../src/qemu/guest/agent.ts';
import type { BootSource } from '../../../../src/qemu/image.ts';
import { machineFor } from '../../../../src/qemu/machines/index.ts';
import { channelOf } from '../../../../src/qemu/testing/machines.ts';
import { memoryProject } from '../../../helpers/memory-files.ts';

const kernel = { path: hostPath('/o/k'), initrd: hostPath('/o/i'), unified: false };
const direct: BootSource = {
  firmware: 'none',
  kernel,
  commandLine: ['quiet', `root=PARTUUID=${'0'.repeat(36)}`],
};
const byFirmware: BootSource = { firmware: 'uefi', disk: hostPath('/o/disk.raw'), commandLine: [] };

async function channel(
  architecture: ArchitectureName,
  source: BootSource,
  flags: Readonly<Record<string, string>> = {},
): Promise<GuestChannelKind> {
  const loaded = await loadProject(memoryProject({ 'mkimg.conf': '[Output]\nFormat=cpio\n' }, flags));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
  return channelOf({
    config: buildable(loaded.value.main.config),
    machine: machineFor(architecture),
    source,
    extraArguments: [],
    workingDirectory: hostPath('/tmp'),
    runProgram: () => Promise.resolve({ ok: false, reason: 'there is none' }),
  });
}

describe('how a guest is talked to', () => {
  it.each([
    ['x86-64', direct, 'unit'],
    ['arm', byFirmware, 'unit'],
    // Firmware is there also for a kernel that QEMU loads.
    ['loongarch64', direct, 'unit'],
    ['arm64', direct, 'small-unit'],
    ['riscv64', direct, 'small-unit'],
    ['arm', direct, 'small-unit'],
    ['s390x', direct, 'small-unit'],
    ['ppc64-le', direct, 'small-unit'],
  ] as const)('%s, %o: %s', async (architecture, source, expected) => {
    expect(await channel(architecture, source, { Release: 'trixie' })).toBe(expected);
  });

  it('is the console where the agent has no room, and where systemd is too old for it', async () => {
    const words = { Release: 'trixie', KernelCommandLineExtra: 'x'.repeat(400) };
    expect(await channel('arm', direct, words)).toBe('console');
    expect(await channel('s390x', direct, words)).toBe('small-unit');
    expect(await channel('s390x', direct, { Release: 'bookworm' })).toBe('console');
    expect(await channel('x86-64', direct, { Release: 'bookworm' })).toBe('command-line');
  });

  it('is the console for a disk whose loader takes no words', async () => {
    const disk = { firmware: 'none', disk: hostPath('/dev/null'), commandLine: [] } as const;
    expect(await channel('s390x', disk, { Release: 'trixie' })).toBe('console');
  });
});
