import type { RunEvent } from '../../base/events.ts';
import { printable } from '../../sandbox/text.ts';
import { formatBytes, formatDuration } from './format.ts';
import type { Paint } from './lines.ts';

/** What a run did, counted from its events. */
export interface Tally {
  ran: number;
  hits: number;
  /** Milliseconds by kind of step. */
  readonly byKind: Map<string, number>;
  readonly artifacts: Extract<RunEvent, { type: 'artifact' }>[];
}

export function newTally(): Tally {
  return { ran: 0, hits: 0, byKind: new Map(), artifacts: [] };
}

/** Counts an event. */
export function tally(counts: Tally, event: RunEvent): void {
  if (event.type === 'step-hit') counts.hits += 1;
  if (event.type === 'artifact') counts.artifacts.push(event);
  if (event.type !== 'step-finished') return;
  counts.ran += 1;
  const kind = kindOf(event.step);
  counts.byKind.set(kind, (counts.byKind.get(kind) ?? 0) + event.milliseconds);
}

/** A step's name is IMAGE/KIND, with `:VARIANT` where an image has several of a kind. */
function kindOf(step: string): string {
  return step.slice(step.lastIndexOf('/') + 1).replace(/:.*$/, '');
}

const longestShown = 5;

/** Artifacts, time and hits; nothing for a run that neither made nor checked anything. */
export function summaryLines(
  counts: Tally,
  { ok, milliseconds }: Extract<RunEvent, { type: 'run-finished' }>,
  paint: Paint,
): readonly string[] {
  if (!ok || (counts.artifacts.length === 0 && counts.ran === 0)) return [];
  const width = Math.max(0, ...counts.artifacts.map(({ name }) => name.length));
  const artifacts = counts.artifacts.map(
    ({ name, bytes, state, path }) =>
      `${paint.strong(printable(name).padEnd(width))}  ${formatBytes(bytes).padStart(9)}  ${state.padEnd(9)}  ${paint.weak(printable(path))}`,
  );
  const longest = [...counts.byKind].sort(([, left], [, right]) => right - left).slice(0, longestShown);
  return [
    ...artifacts,
    verdict(counts, milliseconds),
    ...(longest.length === 0
      ? []
      : [
          paint.weak(
            `time: ${longest.map(([kind, spent]) => `${kind} ${formatDuration(spent)}`).join(', ')}`,
          ),
        ]),
  ];
}

function verdict({ ran, hits, artifacts }: Tally, milliseconds: number): string {
  const time = formatDuration(milliseconds);
  if (ran === 0 && artifacts.every(({ state }) => state === 'unchanged'))
    return `Up to date, as found in ${time}`;
  return `Done in ${time}: ${ran} ${ran === 1 ? 'step' : 'steps'} run, ${hits} taken from the cache`;
}
