import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { Resources } from '../../base/disposal.ts';
import { ConsoleHub, serveConsole } from '../../qemu/running/console-hub.ts';
import { EscapeKey } from '../../qemu/running/escape-key.ts';
import type { Registration, SshAccess } from '../../qemu/running/registry.ts';
import { openRegistry, registerMachine } from '../../qemu/running/registry.ts';
import { keepScreenshot } from '../../qemu/running/screenshots.ts';
import type { Vm } from '../../qemu/vm.ts';
import { ScreenKeeper, takeKeys } from '../terminal.ts';

/** What this process's terminal is for a machine. */
export interface TerminalUse {
  /** It shows the console. */
  readonly shows: boolean;
  /** Its keys go to the machine. */
  readonly types: boolean;
  /** Ctrl-] three times ends the machine. */
  readonly hasEscape: boolean;
}

export interface Attendance {
  readonly terminal: TerminalUse;
  /** Where machines are listed. */
  readonly registry: HostPath;
  /** What the machine is called, if nobody else is. */
  readonly name: string;
  readonly image: HostPath;
  /** How to log in, asked for once the machine runs. */
  access(vm: Vm): Promise<SshAccess | undefined>;
  readonly screenshot: HostPath | undefined;
  /** Called before the terminal is the machine's. */
  onListed(registration: Registration): void;
}

/** Lists a machine that runs, and connects its console with this terminal and with those that `mkimg console` brings. */
export async function attendMachine(vm: Vm, attendance: Attendance): Promise<AsyncDisposable> {
  await using parts = new Resources();
  const { registry, name, image, terminal } = attendance;
  const hub = vm.console === undefined ? undefined : new ConsoleHub(vm.console);
  await openRegistry(registry);
  const socket = hostPath(join(registry, `${process.pid}.console`));
  if (hub !== undefined) parts.use(await serveConsole(hub, socket));
  const ssh = await attendance.access(vm);
  const record = {
    ...{ name, image },
    ...(hub === undefined ? {} : { console: socket }),
    ...(ssh === undefined ? {} : { ssh }),
  };
  const registration = parts.use(await registerMachine(registry, record));
  const { screenshot } = attendance;
  if (screenshot !== undefined) parts.use(keepScreenshot(vm, screenshot));
  attendance.onListed(registration);
  if (hub !== undefined) parts.use(connectTerminal(hub, vm, terminal));
  return parts.move();
}

function connectTerminal(hub: ConsoleHub, vm: Vm, { shows, types, hasEscape }: TerminalUse): AsyncDisposable {
  const parts = new Resources();
  if (shows) {
    const keeper = parts.use(new ScreenKeeper());
    parts.use(hub.lead(process.stdout));
    vm.console?.on('data', (chunk: Buffer) => keeper.watch(chunk));
  }
  if (types) {
    const escape = new EscapeKey();
    const onKeys = (keys: Buffer): void => {
      if (hasEscape && escape.isPressed(keys, performance.now())) void vm.stop();
      else hub.type(keys);
    };
    parts.use(takeKeys(onKeys));
  }
  return parts;
}
