import { MkimgError } from '../../base/errors.ts';
import type { RunningMachine } from '../../qemu/running/registry.ts';
import { readRecord } from '../../qemu/running/registry.ts';
import { sshArgv, waitForSsh } from '../../qemu/running/ssh.ts';
import { findOnPath } from '../../sandbox/lookup.ts';
import { runAttached } from '../../sandbox/process.ts';
import { imageOption } from '../session/images.ts';
import { parseTimeout } from '../test.ts';
import type { Verb, VerbContext } from '../verb.ts';
import { machineOfProject } from './find.ts';
import { ownRegistry } from './names.ts';

const defaultSeconds = 600;

/** `mkimg ssh`: a shell or a command in the machine that runs. */
export const sshVerb: Verb = {
  name: 'ssh',
  summary: 'Log in to the running machine, or run a command there',
  doc: `Runs ssh as root in the machine that \`mkimg qemu\` runs for this project, with the words that follow as the command;
those that begin with a dash stand after \`--\`. It waits until the guest answers. The image needs an SSH server that is enabled and
systemd 252 or later, which lets the machine's key in, and either a network by DHCP or, where the host has it, vsock(7). The
exit code is that of ssh.`,
  words: { usage: '[COMMAND...]', choices: [] },
  answers: true,
  options: [
    imageOption,
    { name: 'timeout', takesValue: true, summary: 'Seconds to wait until the guest answers; 600' },
  ],
  run: async (context) => {
    const seconds = parseTimeout(context.options.extra['timeout']) ?? defaultSeconds;
    const machine = await machineOfProject(context);
    return runInMachine(machine, { context, seconds, command: [...context.words, ...context.rest] });
  },
};

export interface RemoteCommand {
  readonly context: Pick<VerbContext, 'events' | 'signal'>;
  /** How long to wait until the guest answers. */
  readonly seconds: number;
  /** Empty for a shell. */
  readonly command: readonly string[];
}

/**
 * Runs a command in a machine, on this terminal; resolves with its exit code.
 * @throws MkimgError `no-ssh`, `ssh-unreachable`, `tool-missing`
 */
export async function runInMachine(
  machine: RunningMachine,
  { context, seconds, command }: RemoteCommand,
): Promise<number> {
  const { name, ssh: access } = machine;
  if (access === undefined) {
    throw new MkimgError('no-ssh', `${name} cannot be reached: it has neither a network nor vsock(7)`, {
      hint: 'Run it with RuntimeNetwork=user, or use `mkimg console`.',
      class: 'usage',
    });
  }
  const program = await findOnPath('ssh');
  if (program === undefined) {
    throw new MkimgError('tool-missing', 'Cannot find ssh on this machine.', {
      hint: 'apt install openssh-client',
    });
  }
  if (access.kind === 'port') {
    await waitForSsh(access.port, {
      seconds,
      signal: context.signal,
      onWaiting: () =>
        context.events.emit({
          type: 'note',
          level: 'info',
          code: 'ssh-waiting',
          message: `Waiting for the SSH server of ${name}`,
        }),
      isRunning: async () => (await readRecord(ownRegistry(), name)) !== undefined,
    });
  }
  return runAttached({ argv: [program, ...sshArgv(access, command)], env: process.env });
}
