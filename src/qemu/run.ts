import { setTimeout as sleep } from 'node:timers/promises';
import { isObject } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';
import type { QmpEvent } from './qmp.ts';
import type { Vm, VmHost, VmRequest } from './vm.ts';
import { startVm } from './vm.ts';

/** What goes on beside a machine that runs. */
export interface RunOptions {
  /** Ends the machine: at once, or as `powerDown` says. */
  readonly signal: AbortSignal;
  readonly powerDown?: PowerDown;
  /** Called once it runs; what it returns ends with the machine. */
  readonly attend?: (vm: Vm) => Promise<AsyncDisposable>;
}

/** The guest is asked to switch itself off before its machine is ended. */
export interface PowerDown {
  /** Ends the machine at once. */
  readonly insist: AbortSignal;
  readonly onAsked: () => void;
}

/**
 * Runs a machine until it ends by itself or the signal fires; returns QEMU's exit code.
 * @throws MkimgError `kvm-broken` when the virtual CPU gives up, `qemu-failed` when QEMU does not start, `interrupted`.
 */
export async function runVm(
  request: VmRequest,
  host: VmHost,
  { signal, powerDown, attend }: RunOptions,
): Promise<number> {
  const current: { vm?: Vm } = {};
  const broken = new AbortController();
  const onEvent = (event: QmpEvent): void => {
    if (event.name === 'STOP' && current.vm !== undefined) void checkStop(current.vm, broken);
  };
  await using vm = await startVm(request, host, onEvent);
  current.vm = vm;
  const stop = (): void => void vm.stop();
  const end = powerDown === undefined ? stop : () => void endInOrder(vm, powerDown);
  signal.addEventListener('abort', end, { once: true });
  broken.signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    await using _attending = signal.aborted ? undefined : await attend?.(vm);
    const { exitCode, stderr } = await vm.ended;
    if (signal.aborted) throw new MkimgError('interrupted', 'interrupted', { class: 'interrupted' });
    if (broken.signal.aborted) throw brokenKvm();
    // A guest may choose the exit code (isa-debug-exit); QEMU itself says why it fails.
    if (exitCode !== 0 && stderr.length > 0) {
      throw new MkimgError('qemu-failed', `QEMU ended with exit code ${exitCode}`, { tail: stderr });
    }
    return exitCode;
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** A guest misses the power button while it is busy with its start, so it is pressed again. */
const pressSeconds = 10;
const presses = 6;

async function endInOrder(vm: Vm, { insist, onAsked }: PowerDown): Promise<void> {
  onAsked();
  const insisted = new Promise<'insisted'>((resolve) => {
    insist.addEventListener('abort', () => resolve('insisted'), { once: true });
    if (insist.aborted) resolve('insisted');
  });
  for (let press = 0; press < presses; press++) {
    // QEMU may be gone by now.
    vm.qmp.execute('system_powerdown').catch(() => undefined);
    const over = new AbortController();
    const waiting = sleep(pressSeconds * 1000, 'waiting' as const, { signal: over.signal });
    const outcome = await Promise.race([vm.ended, insisted, waiting.catch(() => 'waiting' as const)]);
    over.abort();
    if (outcome !== 'waiting') break;
  }
  await vm.stop();
}

/** QEMU keeps a machine whose CPU failed, silently; it must be asked. The user may also have stopped it in the monitor. */
async function checkStop(machine: Vm, broken: AbortController): Promise<void> {
  try {
    const reply = await machine.qmp.execute('query-status');
    if (isObject(reply) && reply['status'] === 'internal-error') broken.abort();
  } catch (error) {
    if (!(error instanceof MkimgError)) throw error;
  }
}

function brokenKvm(): MkimgError {
  return new MkimgError('kvm-broken', 'the virtual CPU stopped with an internal error: KVM is broken here', {
    hint: 'Run again with --kvm=no.',
  });
}
