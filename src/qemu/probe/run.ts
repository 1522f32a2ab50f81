import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hostPath } from '../../base/brand.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { startLongRunning } from '../../sandbox/long-running.ts';
import type { Mount } from '../../sandbox/types.ts';
import type { Accelerator } from '../argv.ts';
import type { ProbeEnd } from '../kvm.ts';
import type { Machine } from '../machines/machine.ts';
import type { VmHost } from '../vm.ts';
import { probeRom } from './rom.ts';

/** A machine with working KVM needs about a tenth of a second. */
export const probeSeconds = 1;

/** QEMU's arguments for the probe ROM: no firmware, no disk, the exit code is the result. */
export function probeArgv(machine: Machine, accelerator: Accelerator, rom: string): string[] {
  return [
    ['-machine', machine.type, '-accel', accelerator, '-cpu', machine.cpu[accelerator], '-m', '16'],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ['-bios', rom],
    ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ['-serial', 'null'],
  ].flat();
}

/** Runs the probe ROM once. */
export async function runProbe(machine: Machine, accelerator: Accelerator, host: VmHost): Promise<ProbeEnd> {
  await using run = await temporaryDirectory(host.scratch, 'mkimg-probe-');
  await writeFile(join(run.path, 'rom'), probeRom());
  const device: Mount[] =
    accelerator === 'kvm' ? [{ source: hostPath('/dev/kvm'), target: '/dev/kvm', mode: 'dev' }] : [];
  await using program = await startLongRunning({
    spec: {
      tools: host.tools,
      mounts: [{ source: run.path, target: '/run/mkimg', mode: 'ro' }, ...device],
      network: false,
      env: {},
      suppressSync: false,
      suppressChown: false,
    },
    tool: machine.program,
    argv: probeArgv(machine, accelerator, '/run/mkimg/rom'),
    sockets: 0,
    events: host.events,
  });
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), probeSeconds * 1000);
  late.signal.addEventListener('abort', () => program.kill());
  const end = await program.ended;
  clearTimeout(timer);
  return late.signal.aborted ? { kind: 'stalled', seconds: probeSeconds } : { kind: 'exited', ...end };
}
