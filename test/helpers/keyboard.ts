import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsoleGuest } from './console-guest.ts';

/** The keyboard keeps 16 bytes for a guest that does not listen, three keys or so: a busy machine needs time for each. */
const pause = 1000;

/** Presses keys of the guest's keyboard, by QEMU's names for those of an American one with spaces between, and Enter. */
export async function pressKeys({ vm }: ConsoleGuest, keys: string): Promise<void> {
  for (const key of [...keys.split(' '), 'ret']) {
    await vm.qmp.execute('send-key', { keys: [{ type: 'qcode', data: key }], 'hold-time': 50 });
    await sleep(pause);
  }
}
