import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../../src/base/events.ts';
import type { TimedEvent, TraceEntry } from '../../../src/cli/trace.ts';
import { chromeTrace } from '../../../src/cli/trace.ts';

const at = (time: number, event: RunEvent): TimedEvent => ({ at: 1000 + time, event });
const started = (step: string): RunEvent => ({ type: 'step-started', step, label: step, key: '' });
const finished = (step: string): RunEvent => ({
  ...{ type: 'step-finished', step, label: step, milliseconds: 0 },
});
const tool = (step: string, milliseconds: number, name = 'tar'): RunEvent => ({
  ...{ type: 'tool-finished', step, tool: name, argv: ['-x'], milliseconds, exitCode: 0 },
});

const spans = (events: readonly TimedEvent[]): readonly TraceEntry[] =>
  chromeTrace(events).traceEvents.filter(({ ph }) => ph === 'X');

describe('a trace', () => {
  it('has a lane for each job, with tools inside their steps', () => {
    const entries = spans([
      at(0, { type: 'run-started', verb: 'build', version: '1' }),
      at(10, started('a')),
      at(12, started('b')),
      at(20, tool('a', 5)),
      at(30, finished('a')),
      at(31, started('c')),
      at(40, finished('c')),
      at(50, finished('b')),
      at(60, { type: 'run-finished', ok: true, milliseconds: 60, exitCode: 0 }),
    ]);
    expect(entries.map(({ name, tid, ts, dur }) => [name, tid, ts, dur])).toEqual([
      ['mkimg', 0, 0, 60_000],
      ['a', 1, 10_000, 20_000],
      ['tar', 1, 15_000, 5_000],
      ['b', 2, 12_000, 38_000],
      ['c', 1, 31_000, 9_000],
    ]);
    expect(entries[2]?.args).toEqual({ command: 'tar -x', exitCode: 0 });
  });

  it('gives tools that run side by side lanes of their own', () => {
    const entries = spans([
      at(0, started('a')),
      at(10, tool('a', 8, 'one')),
      at(11, tool('a', 8, 'two')),
      at(20, finished('a')),
    ]);
    expect(entries.map(({ name, tid }) => [name, tid])).toEqual([
      ['a', 1],
      ['one', 1],
      ['two', 2],
    ]);
  });

  it('shows stored results and warnings as moments', () => {
    const { traceEvents } = chromeTrace([
      at(0, { type: 'run-started', verb: 'build', version: '1' }),
      at(5, { type: 'step-hit', step: 'a', label: 'a', key: 'k' }),
      at(6, { type: 'note', level: 'warning', code: 'no-esp', message: 'text' }),
    ]);
    const moments = traceEvents.filter(({ ph }) => ph === 'i');
    expect(moments.map(({ name, ts }) => [name, ts])).toEqual([
      ['stored: a', 5000],
      ['no-esp', 6000],
    ]);
  });

  it('never has two things in one lane that overlap without one holding the other', () => {
    const job = fc.record({
      start: fc.nat(50),
      length: fc.nat(50),
      tools: fc.array(fc.nat(50), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(job, { maxLength: 8 }), (jobs) => {
        const events = jobs.flatMap(({ start, length, tools }, index) => [
          at(start, started(`s${index}`)),
          ...tools.map((part) => at(start + (length * part) / 50, tool(`s${index}`, part / 3))),
          at(start + length, finished(`s${index}`)),
        ]);
        events.sort((left, right) => left.at - right.at);
        const entries = spans(events);
        for (const one of entries) {
          for (const other of entries) {
            if (one === other || one.tid !== other.tid) continue;
            const [a, b] = [one.ts, one.ts + (one.dur ?? 0)];
            const [c, d] = [other.ts, other.ts + (other.dur ?? 0)];
            expect(b <= c || d <= a || (a <= c && d <= b) || (c <= a && b <= d)).toBe(true);
          }
        }
      }),
    );
  });
});
