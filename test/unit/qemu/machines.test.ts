import { describe, expect, it } from 'vitest';
import { MkimgError } from '../../../src/base/errors.ts';
import { architectureNames, architectures } from '../../../src/distro/architectures.ts';
import { machineFor, machines } from '../../../src/qemu/machines/index.ts';

describe('the table of machines', () => {
  it('has each architecture at most once', () => {
    const names = machines.map(({ architecture }) => architecture);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('x86-64');
  });

  it.each(machines.map((machine) => [machine.architecture, machine] as const))(
    '%s is complete',
    (architecture, machine) => {
      expect(machine.program).toMatch(/^qemu-system-[a-z0-9_]+$/);
      expect(machine.packages.qemu).toMatch(/^qemu-system-/);
      expect(machine.console).toBe(architectures[architecture].console);
      expect(machine.kvm.hosts).toContain(architecture);
      // Where there is UEFI, there are firmware and the package to name when it is missing.
      expect(machine.firmware !== undefined).toBe(architectures[architecture].efi !== undefined);
      expect(machine.packages.firmware !== undefined).toBe(machine.firmware !== undefined);
      const files = [...(machine.firmware?.plain ?? []), ...(machine.firmware?.secureBoot ?? [])];
      for (const { code, variables } of files) {
        expect(code).toMatch(/^\/usr\/share\/.+\.(?:fd|bin)$/);
        expect(variables).toMatch(/^\/usr\/share\/.+\.(?:fd|bin)$/);
        expect(code).not.toBe(variables);
      }
    },
  );

  it('says which architectures can be booted when asked for another one', () => {
    const missing = architectureNames.find(
      (name) => !machines.some((machine) => machine.architecture === name),
    );
    if (missing === undefined) return;
    expect(() => machineFor(missing)).toThrow(MkimgError);
    expect(() => machineFor(missing)).toThrow(missing);
  });
});
