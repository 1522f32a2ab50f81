import { resolve } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { unreachable } from '../base/errors.ts';
import type { ImageConfig } from '../config/project.ts';
import type { VmDisplay } from '../qemu/argv.ts';
import { extendFile, grownSize, prepareDrives } from '../qemu/drives.ts';
import { mainOutput } from '../qemu/image.ts';
import { describeMachine } from '../qemu/machine-request.ts';
import type { PowerDown } from '../qemu/run.ts';
import { runVm } from '../qemu/run.ts';
import { sshAccess } from '../qemu/running/access.ts';
import { prepareLogin } from '../qemu/running/login.ts';
import { selectAccelerator } from '../qemu/test-image.ts';
import type { RequestedConsole } from '../qemu/vm.ts';
import type { ImageMachine, RuntimeHooks } from './machine.ts';
import { noteLostWords, withMachine } from './machine.ts';
import type { TerminalUse } from './running/attend.ts';
import { attendMachine } from './running/attend.ts';
import { machineNameOf, ownRegistry } from './running/names.ts';
import { imageOption } from './session/images.ts';
import { configurationPrograms } from './session/programs.ts';
import { terminalShape } from './terminal.ts';
import type { Verb, VerbContext } from './verb.ts';

const screenshotOption = {
  name: 'screenshot',
  takesValue: true,
  isFile: true,
  summary: "Keep a picture of the machine's screen in this file (PNG)",
} as const;

/** `mkimg qemu`: boots the image in a virtual machine on this terminal. */
export function qemuVerb(hooks: RuntimeHooks): Verb {
  return {
    name: 'qemu',
    aliases: ['vm'],
    summary: 'Boot the image in QEMU; words after -- go to QEMU',
    doc: `Boots the image that was built, with its console on this terminal; Ctrl-A X ends the machine. With \`-f\` it is
built first. The exit code is QEMU's, which the guest may choose. While it runs, \`mkimg console\` shows its console on
further terminals. A signal, such as Ctrl-C where the console does not take it, asks the guest to switch itself off, if the image
keeps what the guest writes; a second one ends the machine at once. With \`--screenshot=FILE.png\` the machine has a screen, of which FILE has a picture that is at most two
seconds old.`,
    answers: true,
    isPatient: true,
    options: [imageOption, screenshotOption],
    run: (context) => withMachine(context, hooks, (prepared) => run(prepared, context)),
  };
}

async function run(prepared: ImageMachine, context: VerbContext): Promise<number> {
  const { config, machine, host, source, stateDirectory } = prepared;
  const { accelerator } = await selectAccelerator({ inputs: { config, machine }, stateDirectory }, host);
  if (!config.Ephemeral) noteLostWords({ config, machine, source, ephemeral: false }, context);
  await growDisk(config, prepared);
  const extraArguments = [...config.QemuArgs, ...context.rest];
  await using drives = await prepareDrives(config.Drives, host.scratch, extraArguments);
  const registry = ownRegistry();
  const name = machineNameOf(config.Machine, prepared.image.name);
  await using login = await prepareLogin(config, registry);
  const use = consoleUse(config.Console);
  const screenshot = screenshotFile(context);
  const shape = use.terminal.types ? terminalShape() : undefined;
  const request = await describeMachine({
    config,
    machine,
    source,
    accelerator,
    tools: host.tools,
    ephemeral: config.Ephemeral,
    drives: drives.disks,
    console: use.console,
    display: screenshot !== undefined && use.display === 'none' ? 'hidden' : use.display,
    ...(shape === undefined ? {} : { terminal: shape }),
    unattended: false,
    guestAccess: { authorized: login.authorized, name },
    extraArguments,
    workingDirectory: context.options.directory,
    runProgram: configurationPrograms(context.events, context.signal),
  });
  return await runVm(request, host, {
    signal: context.signal,
    ...(config.Ephemeral ? {} : { powerDown: powerDown(name, context) }),
    attend: (vm) =>
      attendMachine(vm, {
        terminal: use.terminal,
        ...{ registry, name, image: mainOutput(config) },
        access: (vm) => sshAccess(vm.qmp, { request, key: login.key, config }),
        screenshot,
        onListed: ({ name }) => announce(name, use, context),
      }),
  });
}

function powerDown(name: string, { insist, events }: VerbContext): PowerDown {
  return {
    insist,
    onAsked: () =>
      events.emit({
        type: 'note',
        level: 'info',
        code: 'power-down',
        message: `Asked ${name} to switch itself off. Interrupt again to end it at once`,
      }),
  };
}

function screenshotFile({ options }: VerbContext): HostPath | undefined {
  const file = options.extra[screenshotOption.name];
  return file === undefined ? undefined : hostPath(resolve(file));
}

/** RuntimeSize= makes the image itself larger, unless the machine runs on a throw-away copy. */
async function growDisk(config: ImageConfig, { source }: ImageMachine): Promise<void> {
  if (source.disk === undefined || config.Ephemeral) return;
  const size = await grownSize(source.disk, config.RuntimeSize);
  if (size !== undefined) await extendFile(source.disk, size);
}

/** What a value of `Console=` means for the machine and for this terminal. */
export interface ConsoleUse {
  readonly console: RequestedConsole;
  readonly display: VmDisplay;
  readonly terminal: TerminalUse;
  /** How the machine is ended, for people. */
  readonly ending: string;
}

const unused: TerminalUse = { shows: false, types: false, hasEscape: false };

/** What each `Console=` is. With `native` the keys behind Ctrl-A are QEMU's, with `interactive` all keys are the guest's. */
export function consoleUse(setting: ImageConfig['Console']): ConsoleUse {
  switch (setting) {
    case 'native':
      return {
        ...{ console: 'monitor', display: 'none' },
        terminal: { shows: true, types: true, hasEscape: false },
        ending: 'Press Ctrl-A, then X, to end the machine; Ctrl-A, then C, for the monitor of QEMU',
      };
    case 'interactive':
      return {
        ...{ console: 'socket', display: 'none' },
        terminal: { shows: true, types: true, hasEscape: true },
        ending: 'Press Ctrl-] three times within a second to end the machine',
      };
    case 'read-only':
      return {
        ...{ console: 'socket', display: 'none' },
        terminal: { ...unused, shows: true },
        ending: 'Press Ctrl-C to end the machine',
      };
    case 'gui':
      return {
        ...{ console: 'socket', display: 'window', terminal: unused },
        ending: 'Close the window to end the machine',
      };
    case 'headless':
      return {
        ...{ console: 'socket', display: 'none', terminal: unused },
        ending: 'Press Ctrl-C to end the machine, which runs without a console here',
      };
    default:
      return unreachable(setting);
  }
}

function announce(name: string, { ending }: ConsoleUse, { events }: VerbContext): void {
  const message = `${name} runs. ${ending}`;
  events.emit({ type: 'note', level: 'info', code: 'machine-started', message });
}
