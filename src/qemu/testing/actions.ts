import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { unreachable } from '../../base/errors.ts';
import { quoteWord } from '../../config/codecs/words.ts';
import type { TestAction } from '../../config/tests/definition.ts';
import { diskDevice } from '../argv.ts';
import type { GuestScript, ScriptEnd } from '../guest/channel.ts';
import { interpreterOf, scriptFault } from '../guest/channel.ts';
import type { StepOutcome } from './expectations.ts';
import { done, firstLines, judgeText, matches, notDone } from './expectations.ts';
import { forwardPort, waitForPort } from './ports.ts';
import type { TestSession } from './session.ts';

const pollMilliseconds = 1000;
/** Between key presses; guests poll keyboards now and then. */
const keyMilliseconds = 150;

type ActionOf<K extends TestAction['kind']> = Extract<TestAction, { kind: K }>;

/**
 * Does what a step says and judges it. Never resolves where the guest does not answer: the caller races it against the
 * guest's end and the clock, and fires the signal then.
 * @throws MkimgError when the machine cannot do it at all
 */
export async function perform(
  action: TestAction,
  session: TestSession,
  signal: AbortSignal,
): Promise<StepOutcome> {
  switch (action.kind) {
    case 'boot':
      return boot(action, session);
    case 'wait-for-unit':
      return waitForUnits(action, session, signal);
    case 'run':
      return runScript(action, session);
    case 'file':
      return judgeFile(action, session);
    case 'port':
      return judgePort(action, session, signal);
    case 'console':
      return findLine(action, session);
    case 'type':
      return typeText(action, session);
    case 'keys':
      return pressKeys(action, session);
    default:
      return changeMachine(action, session);
  }
}

/** Steps that need nothing of the guest. */
async function changeMachine(
  action: ActionOf<'screenshot' | 'power' | 'unplug'>,
  session: TestSession,
): Promise<StepOutcome> {
  switch (action.kind) {
    case 'screenshot':
      await session.screenshot(`${action.name}.png`);
      return done;
    case 'power':
      return changePower(action, session);
    case 'unplug':
      return unplug(action, session);
    default:
      return unreachable(action);
  }
}

async function boot(action: ActionOf<'boot'>, session: TestSession): Promise<StepOutcome> {
  await session.start(action);
  return action.goal === 'started' ? done : reported(session);
}

/** Waits until the guest's report is complete; a bad one ends the guest. */
async function reported({ guest: { watch } }: TestSession): Promise<StepOutcome> {
  return watch.until(() => (watch.state.phase === 'reported' ? done : undefined));
}

/** Runs a script in the guest. Waits for the agent, which may not have begun yet. */
export async function runInGuest(
  { guest: { watch } }: Pick<TestSession, 'guest'>,
  script: GuestScript,
): Promise<ScriptEnd> {
  const channel = await watch.until(() => (watch.state.phase === 'booting' ? undefined : watch.channel));
  return channel.run(script);
}

async function runShell(session: TestSession, text: string): Promise<ScriptEnd> {
  return runInGuest(session, { interpreter: ['/bin/sh'], text: `${text}\n` });
}

async function waitForUnits(
  { units }: ActionOf<'wait-for-unit'>,
  session: TestSession,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const names = units.map(quoteWord).join(' ');
  while (!signal.aborted) {
    const { stdout } = await runShell(session, `systemctl is-active -- ${names}`);
    const states = stdout.split('\n');
    if (states.length === units.length && states.every((state) => state === 'active')) return done;
    const failed = units.find((_, index) => states[index] === 'failed');
    if (failed !== undefined) {
      const log = await runShell(session, `journalctl -b -u ${quoteWord(failed)} -n 20 -o cat --no-pager`);
      return notDone(`${failed} has failed`, firstLines(log.stdout));
    }
    await sleep(pollMilliseconds);
  }
  return notDone('interrupted');
}

async function runScript(
  { script, exitStatus, stdout: expected }: ActionOf<'run'>,
  session: TestSession,
): Promise<StepOutcome> {
  const text = 'text' in script ? script.text : await readFile(script.file, 'utf8');
  const fault = scriptFault(text);
  if (fault !== undefined) return notDone(`the script ${fault}`);
  const interpreter = 'text' in script ? ['/bin/sh'] : interpreterOf(text);
  const { status, stdout, stderr, isCut } = await runInGuest(session, { interpreter, text });
  if (status !== exitStatus) {
    return notDone(`the exit status is ${status} instead of ${exitStatus}`, [
      ...firstLines(stderr),
      ...firstLines(stdout),
    ]);
  }
  if (isCut && hasExpectation(expected)) return notDone('the standard output is too long to be judged');
  return judgeText('the standard output', stdout, expected);
}

function hasExpectation({ equals, matches: expression, json }: ActionOf<'run'>['stdout']): boolean {
  return equals !== undefined || expression !== undefined || json.length > 0;
}

async function judgeFile({ path, content }: ActionOf<'file'>, session: TestSession): Promise<StepOutcome> {
  const word = quoteWord(path);
  // Without programs, of which the image may have none.
  const read = `while IFS= read -r l || [ -n "$l" ]; do printf '%s\\n' "$l"; done <${word}`;
  const { status, stdout, isCut } = await runShell(
    session,
    `[ -e ${word} ] || exit 100\n[ -f ${word} ] || exit 0\n${read}`,
  );
  if (status === 100) return notDone(`${path} does not exist`);
  if (status !== 0) return notDone(`${path} cannot be read`);
  if (isCut) return notDone(`${path} is too long to be judged`);
  return judgeText(`the content of ${path}`, stdout, content);
}

async function judgePort(
  { port, send, received: expected }: ActionOf<'port'>,
  session: TestSession,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const way = await forwardPort(session.guest.vm.qmp, port);
  const asks = hasExpectation(expected);
  const said = { last: '' };
  session.noteProgress(() =>
    said.last === '' ? [`nothing came from port ${port}`] : [`port ${port} sent:`, ...firstLines(said.last)],
  );
  await waitForPort(way, {
    send,
    isEnough: asks ? (text) => judgeText('what the port sent', text, expected).ok : undefined,
    signal,
    onReceived: (text) => (said.last = text),
  });
  return signal.aborted ? notDone('interrupted') : done;
}

async function findLine({ expression }: ActionOf<'console'>, session: TestSession): Promise<StepOutcome> {
  const { watch } = session.guest;
  return watch.until(() => {
    for (const { number, text } of watch.linesFrom(session.consoleFrom)) {
      const found = matches(expression, text);
      if (found === undefined)
        return notDone('a line of the console keeps the expression busy for too long', [text]);
      if (found) {
        session.consoleFrom = number + 1;
        return done;
      }
      // The last one may not have ended yet.
      if (number < watch.lineCount) session.consoleFrom = number + 1;
    }
    return undefined;
  });
}

function typeText({ text }: ActionOf<'type'>, { guest: { vm } }: TestSession): StepOutcome {
  // What the Enter key sends.
  vm.console?.write(`${text.split('\n').join('\r')}\r`);
  return done;
}

async function pressKeys({ chords }: ActionOf<'keys'>, { guest: { vm } }: TestSession): Promise<StepOutcome> {
  for (const chord of chords) {
    await vm.qmp.execute('send-key', { keys: chord.map((key) => ({ type: 'qcode', data: key })) });
    await sleep(keyMilliseconds);
  }
  return done;
}

async function changePower({ change }: ActionOf<'power'>, session: TestSession): Promise<StepOutcome> {
  const { watch } = session.guest;
  switch (change) {
    case 'cut':
      await session.stop();
      return done;
    case 'off':
      // Nobody listens in a guest that only has a console.
      if (watch.channel === undefined) return changePower({ kind: 'power', change: 'cut' }, session);
      watch.take({ type: 'asked', to: 'power-off' });
      watch.channel.powerOff();
      await watch.until(() => watch.state.verdict);
      if (session.failure() === undefined) await session.stop();
      return done;
    case 'reboot':
      session.restart();
      watch.take({ type: 'asked', to: 'restart' });
      watch.channel?.reboot();
      await watch.until(() => (watch.state.asked === undefined ? true : undefined));
      return reported(session);
    default:
      return unreachable(change);
  }
}

async function unplug({ drive }: ActionOf<'unplug'>, { guest: { vm } }: TestSession): Promise<StepOutcome> {
  await vm.qmp.execute('device_del', { id: diskDevice(drive) });
  return done;
}
