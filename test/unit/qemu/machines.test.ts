import { describe, expect, it } from 'vitest';
import type { VmOptions } from '../../../src/qemu/argv.ts';
import { qemuArgv } from '../../../src/qemu/argv.ts';
import { architectureNames, architectures } from '../../../src/distro/architectures/index.ts';
import { machineFor } from '../../../src/qemu/machines/index.ts';

describe('the table of machines', () => {
  it.each(architectureNames)('%s is complete', (architecture) => {
    const machine = machineFor(architecture);
    expect(machine.architecture).toBe(architecture);
    expect(machine.program).toMatch(/^qemu-system-[a-z0-9_]+$/);
    expect(machine.packages.qemu).toMatch(/^qemu-system-/);
    expect(machine.console).toBe(architectures[architecture].console);
    expect(machine.kvm.hosts).toContain(architecture);
    // Where there is UEFI, there are firmware and the package to name when it is missing.
    expect(machine.firmware !== undefined).toBe(architectures[architecture].efi !== undefined);
    expect(machine.packages.firmware !== undefined).toBe(machine.firmware !== undefined);
    const files = [...(machine.firmware?.plain ?? []), ...(machine.firmware?.secureBoot ?? [])];
    for (const { code, variables } of files) {
      expect(code).toMatch(/^\/usr\/share\/.+\.(?:fd|bin|raw)$/);
      expect(variables).toMatch(/^\/usr\/share\/.+\.(?:fd|bin|raw)$/);
      expect(code).not.toBe(variables);
    }
  });

  it('reaches guests without SMBIOS by their command line, which holds a kilobyte at least', () => {
    for (const name of architectureNames) {
      expect(machineFor(name).channels.commandLine).toBeGreaterThanOrEqual(1024);
    }
  });

  const firmware: VmOptions = {
    accelerator: 'tcg',
    cpus: 1,
    memory: 2 ** 30,
    firmware: { code: '/CODE', variables: '/VARS', secureBoot: false },
    commandLineByControl: false,
    disks: [],
    console: { kind: 'none' },
    display: 'window',
    forwards: [],
    machineOptions: [],
    controlFd: 3,
    ports: [],
    smbiosFiles: [],
    fwCfgFiles: [],
    network: 'user',
    sharedDirectories: [],
    endOnRestart: false,
    extra: [],
  };

  it('tells a RISC-V machine which drives its flash is', () => {
    const words = qemuArgv(machineFor('riscv64'), firmware).join(' ');
    expect(words).toContain('-machine virt,pflash0=pflash0,pflash1=pflash1 ');
    expect(words).toContain('-drive if=none,id=pflash0,format=raw,readonly=on,file=/CODE ');
    expect(words).toContain('-drive if=none,id=pflash1,format=raw,snapshot=on,file=/VARS ');
    expect(words).not.toContain('if=pflash');
  });

  it('gives a mainframe devices of its channels only', () => {
    const { firmware: none, ...options } = firmware;
    expect(none).toBeDefined();
    const words = qemuArgv(machineFor('s390x'), options).join(' ');
    expect(words).not.toMatch(/-pci|usb|xhci|romfile/);
    expect(words).toContain('-device virtio-net-ccw,netdev=net0');
    expect(words).toContain('-device virtio-keyboard-ccw');
  });
});
