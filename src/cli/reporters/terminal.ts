import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import type { EventSink } from '../../base/events.ts';
import type { Paint } from './lines.ts';
import { eventLines, noPaint } from './lines.ts';
import type { RunningSteps } from './live.ts';
import { followSteps, liveText } from './live.ts';
import { newTally, tally } from './tally.ts';

const colours: Paint = {
  good: (text) => styleText('green', text),
  bad: (text) => styleText('red', text),
  weak: (text) => styleText('dim', text),
  strong: (text) => styleText('bold', text),
};

const frameMilliseconds = 100;
const unicodeSpinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const asciiSpinner = ['|', '/', '-', '\\'];

/** Lines that stay, and below them one moving line for each running step. */
export function terminalReporter(
  stream: NodeJS.WriteStream,
  { debug }: { readonly debug: boolean },
): EventSink & AsyncDisposable {
  const screen = createLogUpdate(stream);
  const paint = hasColours() ? colours : noPaint;
  const spinner = speaksUnicode() ? unicodeSpinner : asciiSpinner;
  const steps: RunningSteps = new Map();
  const options = { debug, announceStarts: false, paint, tally: newTally() };
  let turn = 0;
  let timer: NodeJS.Timeout | undefined;

  const draw = (): void => {
    turn += 1;
    const frame = { spinner: spinner[turn % spinner.length] ?? '', now: performance.now(), paint };
    screen(liveText(steps, { ...frame, width: stream.columns }));
  };
  // Drawing only while something runs: the terminal may belong to a virtual machine's console otherwise.
  const settle = (): void => {
    if (steps.size > 0 && timer === undefined) {
      timer = setInterval(draw, frameMilliseconds).unref();
    } else if (steps.size === 0 && timer !== undefined) {
      clearInterval(timer);
      timer = undefined;
      screen.clear();
      screen.done();
    }
  };

  return {
    emit: (event) => {
      tally(options.tally, event);
      followSteps(steps, event, performance.now());
      const lines = eventLines(event, options);
      if (lines.length > 0) {
        if (timer !== undefined) screen.clear();
        stream.write(`${lines.join('\n')}\n`);
        if (steps.size > 0 && timer !== undefined) draw();
      }
      settle();
    },
    [Symbol.asyncDispose]: () => {
      steps.clear();
      settle();
      return Promise.resolve();
    },
  };
}

/** https://no-color.org, and terminals that say they can do nothing. */
function hasColours(): boolean {
  return (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
}

function speaksUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test(LC_ALL ?? LC_CTYPE ?? LANG ?? '');
}
