import { Resources } from '../../base/disposal.ts';
import type { Vm, VmHost, VmRequest } from '../vm.ts';
import { startVm } from '../vm.ts';
import type { GuestChannelKind } from './agent.ts';
import { agentCommandLine, agentCredentials, agentPort, newToken } from './agent.ts';
import type { ConsoleLog } from './console-log.ts';
import { initialBootState } from './verdict.ts';
import { GuestWatch } from './watch.ts';

/** A machine that is watched from its start. */
export interface Guest extends AsyncDisposable {
  readonly vm: Vm;
  readonly watch: GuestWatch;
}

export interface GuestRequest {
  readonly machine: VmRequest;
  readonly channel: GuestChannelKind;
  readonly acceptsFailedUnits: boolean;
  readonly log: ConsoleLog;
}

/** A guest that runs with KVM writes something long before. */
const silentSeconds = 20;

/**
 * Starts a machine with the agent in it. @throws MkimgError when it cannot be started at all
 */
export async function startGuest(request: GuestRequest, host: VmHost): Promise<Guest> {
  const { channel, acceptsFailedUnits, log } = request;
  const { accelerator } = request.machine;
  const token = newToken();
  const watch = new GuestWatch(initialBootState(channel, accelerator, acceptsFailedUnits), token);
  await using stack = new Resources();
  const machine = withAgent(request.machine, channel, token);
  const vm = stack.use(await startVm(machine, host, (event) => watch.takeQmp(event)));
  watch.attach(vm);
  log.follow(vm.console);
  const silence = setTimeout(() => {
    if (accelerator === 'kvm' && !watch.hasConsoleOutput)
      watch.take({ type: 'silent', seconds: silentSeconds });
  }, silentSeconds * 1000);
  stack.use({
    [Symbol.dispose]: () => {
      clearTimeout(silence);
      watch.close();
    },
  });
  const owned = stack.move();
  return { vm, watch, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

/** systemd gives devices and services 90 seconds; on a busy host software emulation needs more for the root's device. */
export const slowMachine = [
  'systemd.default_device_timeout_sec=600',
  'systemd.default_timeout_start_sec=600',
];

/** The machine with what the agent needs. Pure. */
export function withAgent(machine: VmRequest, channel: GuestChannelKind, token: string): VmRequest {
  return {
    ...machine,
    console: 'socket',
    pauseOnPanic: true,
    ports: channel === 'console' ? [] : [agentPort],
    credentials: [...machine.credentials, ...agentCredentials(channel, token)],
    commandLine: [
      ...machine.commandLine,
      ...agentCommandLine(channel),
      ...(machine.accelerator === 'tcg' ? slowMachine : []),
    ],
  };
}
