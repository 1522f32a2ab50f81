import type { RunEvent } from '../base/events.ts';
import { shellCommand } from '../sandbox/text.ts';

/** An event of a run with the time at which it was said, in milliseconds since the epoch with fractions. */
export interface TimedEvent {
  readonly at: number;
  readonly event: RunEvent;
}

/** One entry of the Trace Event Format that Chrome and Perfetto read; times are microseconds. */
export interface TraceEntry {
  readonly name: string;
  /** `X`: something with a duration, `i`: a moment, `M`: a name for a process or a lane. */
  readonly ph: 'X' | 'i' | 'M';
  readonly ts: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly cat?: string;
  /** Of a moment: it is shown across the whole process. */
  readonly s?: 'p';
  readonly args: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly displayTimeUnit: 'ms';
  readonly traceEvents: readonly TraceEntry[];
}

/** Something that took time. `start` and `end` are milliseconds since the epoch. */
interface Stretch {
  readonly name: string;
  readonly category: 'run' | 'step' | 'tool';
  readonly start: number;
  readonly end: number;
  readonly step?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

const pid = 1;
/** The lane of the run as a whole; the lanes of jobs follow. */
const runLane = 0;

/**
 * A run as a trace: one lane for each job, with the steps that it ran one after the other and inside them the tools. Tools
 * of one step that run side by side get lanes of their own. Stored results and notes are moments.
 */
export function chromeTrace(events: readonly TimedEvent[]): Trace {
  const first = events[0]?.at ?? 0;
  const stretches = stretchesOf(events);
  const lanes = new Lanes();
  const entries: TraceEntry[] = [];
  const add = ({ name, category: cat, start, end, args }: Stretch, tid: number): void => {
    const ts = microseconds(start - first);
    entries.push({ name, cat, ph: 'X', ts, dur: microseconds(end - first) - ts, pid, tid, args });
  };
  for (const run of stretches.filter(({ category }) => category === 'run')) add(run, runLane);
  for (const step of stretches.filter(({ category }) => category === 'step')) {
    const lane = lanes.place(step);
    add(step, lane);
    // A tool has the lane of its step as long as no other tool of the step is in its way.
    const own = new Lanes(lane);
    for (const tool of stretches.filter((stretch) => isToolOf(stretch, step))) {
      const within = inside(tool, step);
      add(within, own.isFree(lane, within) ? own.take(lane, within) : lanes.place(within));
    }
  }
  for (const tool of stretches.filter((stretch) => isStray(stretch, stretches))) add(tool, lanes.place(tool));
  return {
    displayTimeUnit: 'ms',
    traceEvents: [...names(lanes.count), ...moments(events, first), ...entries],
  };
}

function isToolOf({ category, step, start }: Stretch, owner: Stretch): boolean {
  return category === 'tool' && step === owner.step && start >= owner.start - 1 && start <= owner.end;
}

/** The clocks of a tool and its step are read one after the other. */
function inside(tool: Stretch, step: Stretch): Stretch {
  const start = Math.max(tool.start, step.start);
  return { ...tool, start, end: Math.max(start, Math.min(tool.end, step.end)) };
}

function isStray(stretch: Stretch, all: readonly Stretch[]): boolean {
  if (stretch.category !== 'tool') return false;
  return !all.some((other) => other.category === 'step' && isToolOf(stretch, other));
}

function microseconds(milliseconds: number): number {
  return Math.max(0, Math.round(milliseconds * 1000));
}

/** Puts stretches of time into as few lanes as they fit into without overlapping. */
class Lanes {
  readonly #busyUntil = new Map<number, number>();
  readonly #first: number;

  constructor(first = runLane + 1) {
    this.#first = first;
  }

  /** Lanes in use. */
  get count(): number {
    return this.#busyUntil.size;
  }

  isFree(lane: number, { start }: Stretch): boolean {
    return (this.#busyUntil.get(lane) ?? -Infinity) <= start;
  }

  take(lane: number, { end }: Stretch): number {
    this.#busyUntil.set(lane, end);
    return lane;
  }

  place(stretch: Stretch): number {
    let lane = this.#first;
    while (!this.isFree(lane, stretch)) lane += 1;
    return this.take(lane, stretch);
  }
}

/** In the order in which they began; of what began together, the longer first, so that others nest in it. */
function stretchesOf(events: readonly TimedEvent[]): readonly Stretch[] {
  const stretches: Stretch[] = [];
  const begun = new Map<string, TimedEvent>();
  for (const timed of events) {
    const { at, event } = timed;
    if (event.type === 'run-started') begun.set('', timed);
    else if (event.type === 'step-started') begun.set(event.step, timed);
    else {
      const stretch = endedBy(event, at, begun);
      if (stretch !== undefined) stretches.push(stretch);
    }
  }
  return stretches.sort((left, right) => left.start - right.start || right.end - left.end);
}

function endedBy(event: RunEvent, end: number, begun: Map<string, TimedEvent>): Stretch | undefined {
  switch (event.type) {
    case 'run-finished': {
      const start = begun.get('')?.at ?? end - event.milliseconds;
      const { ok, exitCode } = event;
      return { name: 'mkimg', category: 'run', start, end, args: { ok, exitCode } };
    }
    case 'step-finished':
    case 'step-failed': {
      const { step, label } = event;
      const start = begun.get(step)?.at ?? end - event.milliseconds;
      const failed = event.type === 'step-failed' ? { failed: true } : {};
      return { name: label, category: 'step', start, end, step, args: { step, ...failed } };
    }
    case 'tool-finished': {
      const { tool, argv, exitCode, milliseconds, step } = event;
      const args = {
        command: shellCommand([tool, ...argv]),
        ...(exitCode === undefined ? {} : { exitCode }),
      };
      const common = { name: tool, category: 'tool', start: end - milliseconds, end, args } as const;
      return step === undefined ? common : { ...common, step };
    }
    default:
      return undefined;
  }
}

function moments(events: readonly TimedEvent[], first: number): readonly TraceEntry[] {
  return events.flatMap(({ at, event }): readonly TraceEntry[] => {
    const common = { ph: 'i', s: 'p', ts: microseconds(at - first), pid, tid: runLane } as const;
    switch (event.type) {
      case 'step-hit':
        return [{ ...common, name: `stored: ${event.label}`, cat: 'hit', args: { key: event.key } }];
      case 'note':
        return [{ ...common, name: event.code, cat: event.level, args: { message: event.message } }];
      case 'error':
        return [{ ...common, name: event.code, cat: 'error', args: { message: event.message } }];
      default:
        return [];
    }
  });
}

function names(jobs: number): readonly TraceEntry[] {
  const entry = (name: string, tid: number, args: TraceEntry['args']): TraceEntry => ({
    ...{ name, ph: 'M', ts: 0, pid, tid, args },
  });
  return [
    entry('process_name', runLane, { name: 'mkimg' }),
    entry('thread_name', runLane, { name: 'run' }),
    ...Array.from({ length: jobs }, (_, index) =>
      entry('thread_name', runLane + 1 + index, { name: `job ${index + 1}` }),
    ),
  ];
}
