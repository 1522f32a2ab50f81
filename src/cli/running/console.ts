import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { once } from 'node:events';
import { MkimgError } from '../../base/errors.ts';
import { EscapeKey } from '../../qemu/running/escape-key.ts';
import type { RunningMachine } from '../../qemu/running/registry.ts';
import { imageOption } from '../session/images.ts';
import { ScreenKeeper, takeKeys } from '../terminal.ts';
import type { Verb, VerbContext } from '../verb.ts';
import { machineOfProject } from './find.ts';

/** `mkimg console`: a further terminal for a machine that runs. */
export const consoleVerb: Verb = {
  name: 'console',
  summary: 'Show the console of the running machine on this terminal',
  doc: `Joins the console of the machine that \`mkimg qemu\` runs for this project, beginning with what it has shown last. Keys
go to the machine; Ctrl-] three times within a second leaves it running and ends the verb.`,
  answers: true,
  options: [imageOption],
  run: async (context) => {
    const machine = await machineOfProject(context);
    await joinConsole(await openConsole(machine), context);
    return 0;
  },
};

async function openConsole({ name, console }: RunningMachine): Promise<Socket> {
  if (console === undefined) {
    throw new MkimgError('no-console', `${name} has no console that could be shown here`);
  }
  const socket = connect(console);
  try {
    await once(socket, 'connect');
  } catch (cause) {
    throw new MkimgError('no-console', `the console of ${name} does not answer`, {
      hint: 'The machine may just have ended.',
      cause,
    });
  }
  return socket;
}

/** Until the machine ends, the signal fires, or the keys that leave it are pressed. */
async function joinConsole(socket: Socket, { events, signal }: VerbContext): Promise<void> {
  const message = 'Press Ctrl-] three times within a second to leave the console';
  events.emit({ type: 'note', level: 'info', code: 'console-joined', message });
  const left = new Promise<void>((done) => {
    socket.on('close', () => done());
    socket.on('error', () => done());
    signal.addEventListener('abort', () => done(), { once: true });
    if (signal.aborted) done();
  });
  using keeper = new ScreenKeeper();
  socket.on('data', (chunk: Buffer) => {
    keeper.watch(chunk);
    if (process.stdout.write(chunk)) return;
    socket.pause();
    process.stdout.once('drain', () => socket.resume());
  });
  const escape = new EscapeKey();
  using _keys = takeKeys((keys) => {
    if (escape.isPressed(keys, performance.now())) socket.destroy();
    else socket.write(keys);
  });
  await left;
  socket.destroy();
}
