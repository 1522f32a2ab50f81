import { printable } from '../../sandbox/text.ts';
import type { RunEvent } from '../../base/events.ts';
import { formatBytes, formatDuration } from './format.ts';
import type { Paint } from './lines.ts';

/** A step that runs now, for the display at the bottom of the screen. */
export interface RunningStep {
  readonly label: string;
  /** performance.now() at its beginning. */
  readonly since: number;
  progress: string;
  /** The last line that one of its tools wrote. */
  output: string;
}

/** Steps that run, by id. */
export type RunningSteps = Map<string, RunningStep>;

/** Follows events; `now` is performance.now(). */
export function followSteps(steps: RunningSteps, event: RunEvent, now: number): void {
  switch (event.type) {
    case 'step-started':
      steps.set(event.step, { label: event.label, since: now, progress: '', output: '' });
      break;
    case 'fetch-started':
      steps.set(event.step, { label: `${event.label} (shared cache)`, since: now, progress: '', output: '' });
      break;
    case 'step-progress': {
      const step = steps.get(event.step);
      if (step !== undefined) step.progress = progressText(event);
      break;
    }
    case 'output':
      noteOutput(steps, event);
      break;
    case 'step-finished':
    case 'step-failed':
    case 'fetch-ended':
      steps.delete(event.step);
      break;
    case 'error':
    case 'run-finished':
      steps.clear();
      break;
    default:
  }
}

function noteOutput(steps: RunningSteps, { step: id, line }: Extract<RunEvent, { type: 'output' }>): void {
  const step = id === undefined ? undefined : steps.get(id);
  if (step !== undefined && line.trim() !== '') step.output = line.trim();
}

/** Whole seconds, from the first on: anything finer would only flicker. */
function waited(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds === 0) return '';
  return `  ${seconds < 60 ? `${seconds} s` : formatDuration(seconds * 1000)}`;
}

function progressText({ done, total, unit, note }: Extract<RunEvent, { type: 'step-progress' }>): string {
  const show = unit === 'bytes' ? formatBytes : String;
  const amount = total === undefined ? show(done) : `${show(done)} of ${show(total)}`;
  return note === undefined ? amount : `${amount} ${note}`;
}

export interface Frame {
  readonly spinner: string;
  readonly now: number;
  /** Columns of the screen. */
  readonly width: number;
  readonly paint: Paint;
}

/** One line for each running step. */
export function liveText(steps: RunningSteps, { spinner, now, width, paint }: Frame): string {
  return [...steps.values()]
    .map(({ label, since, progress, output }) => {
      const head = `${spinner}  ${printable(label)}${waited(now - since)}`;
      const rest = [progress, output].filter((text) => text !== '').map(printable);
      const room = Math.max(0, width - head.length - 3);
      const tail = rest.join('  ').slice(0, room);
      return tail === '' ? head.slice(0, width - 1) : `${head}  ${paint.weak(tail)}`;
    })
    .join('\n');
}
