import type { Accelerator } from '../argv.ts';
import type { ProbeEnd } from '../kvm.ts';
import type { Machine } from '../machines/machine.ts';
import { runProbe } from '../probe/run.ts';
import type { VmHost } from '../vm.ts';

/** What the probe takes where software emulation is as fast as it gets: on an idle machine of 2025. */
const usualMilliseconds = 110;
const leastScale = 2;
const mostScale = 20;
/** For machines without a probe. */
const unknownScale = 4;

/**
 * By how much more time a test gets than it would with KVM: 1 with KVM; otherwise two at least, and more the slower the
 * emulator is now, because of the host or of what else it does.
 */
export async function measureTimeScale(
  machine: Machine,
  accelerator: Accelerator,
  host: VmHost,
): Promise<number> {
  if (accelerator === 'kvm') return 1;
  if (!machine.kvm.probe) return unknownScale;
  const started = performance.now();
  return scaleOf(await runProbe(machine, 'tcg', host), performance.now() - started);
}

/** The scale for a probe that took so long. Pure. */
export function scaleOf(end: ProbeEnd, milliseconds: number): number {
  if (end.kind === 'stalled') return mostScale;
  const scale = (leastScale * milliseconds) / usualMilliseconds;
  return Math.round(Math.min(mostScale, Math.max(leastScale, scale)) * 10) / 10;
}
