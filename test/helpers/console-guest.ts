import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { HostPath } from '../../src/base/brand.ts';
import { plainConsoleText } from '../../src/qemu/console.ts';
import type { Vm, VmHost, VmRequest } from '../../src/qemu/vm.ts';
import { startVm } from '../../src/qemu/vm.ts';
import { until } from './cli.ts';

/** A guest that is watched, and spoken to, on its serial console. */
export interface ConsoleGuest extends AsyncDisposable {
  readonly vm: Vm;
  /** What its console has shown so far, without control sequences. */
  console(): Promise<string>;
  /** Waits until the console has shown this. @throws Error with the end of the console when the guest ends before, or takes ten minutes */
  said(text: string | RegExp): Promise<void>;
  /** Waits until the guest has ended. @throws Error when it takes ten minutes */
  ended(): Promise<void>;
  /** Writes to the serial console. */
  type(text: string): void;
}

const patience = 600_000;

/** Starts a machine and keeps in `log` what its console shows. */
export async function startConsoleGuest(
  request: VmRequest,
  log: HostPath,
  host: VmHost,
): Promise<ConsoleGuest> {
  const vm = await startVm({ ...request, console: 'socket' }, host, () => undefined);
  const { console: socket } = vm;
  if (socket === undefined) throw new Error('a guest without a console');
  const logged = pipeline(socket, createWriteStream(log), { end: true }).catch(() => undefined);
  const state = { hasEnded: false };
  void vm.ended.then(() => (state.hasEnded = true));
  const shown = async (): Promise<string> => {
    if (state.hasEnded) await logged;
    return plainConsoleText(await readFile(log, 'utf8').catch(() => ''));
  };
  const wait = async (what: string, isThere: (shown: string) => boolean): Promise<void> => {
    const look = async (): Promise<boolean> => {
      const over = state.hasEnded;
      const text = await shown();
      if (isThere(text)) return true;
      if (over) throw new Error(`the guest ended before ${what}:\n${text.slice(-4000)}`);
      return false;
    };
    await until(look, patience).catch(async (error: unknown) => {
      if (state.hasEnded) throw error;
      throw new Error(`the guest took too long for ${what}:\n${(await shown()).slice(-4000)}`);
    });
  };
  return {
    vm,
    console: shown,
    said: (wanted) =>
      wait(String(wanted), (text) =>
        typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text),
      ),
    ended: () => wait('its end', () => state.hasEnded),
    type: (text) => void socket.write(text),
    [Symbol.asyncDispose]: () => vm[Symbol.asyncDispose](),
  };
}
