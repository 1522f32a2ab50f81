import { unreachable } from '../base/errors.ts';
import type { ImageConfig } from '../config/project.ts';
import type { VmConsole } from '../qemu/argv.ts';
import { extendFile, grownSize, prepareDrives } from '../qemu/drives.ts';
import { describeMachine } from '../qemu/machine-request.ts';
import { runVm } from '../qemu/run.ts';
import { selectAccelerator } from '../qemu/test-image.ts';
import type { ImageMachine, RuntimeHooks } from './machine.ts';
import { withMachine } from './machine.ts';
import { imageOption } from './session/images.ts';
import { configurationPrograms } from './session/programs.ts';
import { rawTerminal, terminalShape } from './raw-terminal.ts';
import type { Verb, VerbContext } from './verb.ts';

/** `mkimg qemu`: boots the image in a virtual machine on this terminal. */
export function qemuVerb(hooks: RuntimeHooks): Verb {
  return {
    name: 'qemu',
    aliases: ['vm'],
    summary: 'Boot the image in QEMU; words after -- go to QEMU',
    doc: `Boots the image that was built, with its console on this terminal; Ctrl-A X ends the machine. With \`-f\` it is
built first. The exit code is QEMU's, which the guest may choose.`,
    answers: true,
    options: [imageOption],
    run: (context) => withMachine(context, hooks, (prepared) => run(prepared, context)),
  };
}

async function run(prepared: ImageMachine, context: VerbContext): Promise<number> {
  const { config, machine, host, source, stateDirectory } = prepared;
  const { accelerator } = await selectAccelerator({ inputs: { config, machine }, stateDirectory }, host);
  await growDisk(config, prepared);
  const extraArguments = [...config.QemuArgs, ...context.rest];
  await using drives = await prepareDrives(config.Drives, host.scratch, extraArguments);
  const console = consoleOf(config.Console);
  const shape = console === 'terminal' ? terminalShape() : undefined;
  const request = await describeMachine({
    config,
    machine,
    source,
    accelerator,
    tools: host.tools,
    ephemeral: config.Ephemeral,
    drives: drives.disks,
    console,
    ...(shape === undefined ? {} : { terminal: shape }),
    unattended: false,
    extraArguments,
    workingDirectory: context.options.directory,
    runProgram: configurationPrograms(context.events, context.signal),
  });
  announce(config, context);
  using _terminal = console === 'terminal' ? rawTerminal() : undefined;
  return await runVm(request, host, context.signal);
}

/** RuntimeSize= makes the image itself larger, unless the machine runs on a throw-away copy. */
async function growDisk(config: ImageConfig, { source }: ImageMachine): Promise<void> {
  if (source.disk === undefined || config.Ephemeral) return;
  const size = await grownSize(source.disk, config.RuntimeSize);
  if (size !== undefined) await extendFile(source.disk, size);
}

/** What each `Console=` is for QEMU. Both `native` and `interactive` are the serial console on this terminal. */
export function consoleOf(setting: ImageConfig['Console']): Exclude<VmConsole['kind'], 'socket'> {
  switch (setting) {
    case 'native':
    case 'interactive':
      return 'terminal';
    case 'read-only':
      return 'output';
    case 'gui':
      return 'window';
    case 'headless':
      return 'none';
    default:
      return unreachable(setting);
  }
}

function announce(config: ImageConfig, { events }: VerbContext): void {
  const message = {
    terminal: 'Press Ctrl-A, then X, to end the machine; Ctrl-A, then C, for the monitor of QEMU',
    output: 'Press Ctrl-C to end the machine',
    window: 'Close the window to end the machine',
    none: 'The machine runs without a console; press Ctrl-C to end it',
  }[consoleOf(config.Console)];
  events.emit({ type: 'note', level: 'info', code: 'machine-started', message });
}
