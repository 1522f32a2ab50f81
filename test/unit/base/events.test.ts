import { expect, it } from 'vitest';
import type { RunEvent } from '../../../src/base/events.ts';
import { withNotesOnce } from '../../../src/base/events.ts';

it('withNotesOnce() says each note once, and all else as often as it happens', () => {
  const seen: RunEvent[] = [];
  const sink = withNotesOnce({ emit: (event) => void seen.push(event) });
  const note = (message: string): RunEvent => ({ type: 'note', level: 'info', code: 'no-kvm', message });
  const boot: RunEvent = { type: 'boot', phase: 'kernel', milliseconds: 1 };
  for (const event of [note('a'), boot, note('a'), note('b'), boot]) sink.emit(event);
  expect(seen).toEqual([note('a'), boot, note('b'), boot]);
});
