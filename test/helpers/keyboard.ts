import type { ConsoleGuest } from './console-guest.ts';

/** Presses keys of the guest's keyboard, by QEMU's names for those of an American one with spaces between, and Enter. */
export async function pressKeys({ vm }: ConsoleGuest, keys: string): Promise<void> {
  for (const key of [...keys.split(' '), 'ret'])
    await vm.qmp.execute('send-key', { keys: [{ type: 'qcode', data: key }], 'hold-time': 50 });
}
