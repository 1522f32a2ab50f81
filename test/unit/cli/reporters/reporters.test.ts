import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { RunEvent } from '../../../../src/base/events.ts';
import { formatBytes, formatDuration } from '../../../../src/cli/reporters/format.ts';
import { jsonReporter, plainReporter } from '../../../../src/cli/reporters/index.ts';
import { noPaint } from '../../../../src/cli/reporters/lines.ts';
import type { RunningSteps } from '../../../../src/cli/reporters/live.ts';
import { followSteps, liveText } from '../../../../src/cli/reporters/live.ts';

const install = { step: 'main/install-packages:build', label: 'main: install packages' } as const;

const run: readonly RunEvent[] = [
  { type: 'run-started', verb: 'build', version: '1' },
  { type: 'step-hit', step: 'main/resolve-packages', label: 'main: resolve packages', key: 'k' },
  { type: 'step-started', ...install, key: 'k' },
  { type: 'output', step: install.step, tool: 'dpkg', stream: 'stdout', line: 'Setting up \u001b[2Jvim' },
  { type: 'step-finished', ...install, milliseconds: 5234 },
  { type: 'note', level: 'warning', code: 'x', message: 'two\nlines', hint: 'do this' },
  { type: 'artifact', name: 'image.raw', path: '/out/image.raw', bytes: 1_288_490_189, state: 'built' },
  { type: 'run-finished', ok: true, milliseconds: 61_000, exitCode: 0 },
];

function plain(events: readonly RunEvent[], debug = false): string {
  const stream = new PassThrough({ encoding: 'utf8' });
  const reporter = plainReporter(stream, { debug });
  for (const event of events) reporter.emit(event);
  return String(stream.read() ?? '');
}

describe('plain lines', () => {
  test('tell a run from beginning to end', () => {
    expect(plain(run)).toBe(
      `stored main: resolve packages
begin  main: install packages
done   main: install packages 5.2 s
warning: two
  lines
  hint: do this
image.raw    1.2 GiB  built      /out/image.raw
Done in 1 min 1 s: 1 step run, 1 taken from the cache
time: install-packages 5.2 s
`,
    );
  });

  test("show tools' lines with --debug, control characters escaped", () => {
    expect(plain(run, true)).toContain('dpkg: Setting up \\x1b[2Jvim\n');
  });

  test('say that nothing was to do', () => {
    const events: readonly RunEvent[] = [
      { type: 'artifact', name: 'a', path: '/o/a', bytes: 1, state: 'unchanged' },
      { type: 'run-finished', ok: true, milliseconds: 80, exitCode: 0 },
    ];
    expect(plain(events)).toContain('Up to date, as found in 80 ms');
  });

  test('show a failure with what the tool said, the line at fault, a hint and the way into the sandbox', () => {
    const error: RunEvent = {
      type: 'error',
      code: 'tool-failed',
      message: 'apt-get failed',
      location: '/p/mkimg.conf:3:1',
      tail: ['E: no such \u0007package'],
      hint: 'Check Packages=.',
      reenter: "bwrap --bind '/a b' /",
    };
    expect(plain([error, { type: 'run-finished', ok: false, milliseconds: 1, exitCode: 1 }])).toBe(
      `  | E: no such \\x07package
/p/mkimg.conf:3:1: error: apt-get failed
  hint: Check Packages=.
  to look around in the same sandbox, until the next build:
    bwrap --bind '/a b' /
`,
    );
  });

  test('say nothing about a run without steps', () => {
    expect(plain([{ type: 'run-finished', ok: true, milliseconds: 5, exitCode: 0 }])).toBe('');
  });
});

test('NDJSON is the events as they are', () => {
  const stream = new PassThrough({ encoding: 'utf8' });
  const reporter = jsonReporter(stream);
  for (const event of run) reporter.emit(event);
  const lines = String(stream.read()).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(run);
});

describe('the live display', () => {
  test('has one line for each running step, no wider than the screen', () => {
    const steps: RunningSteps = new Map();
    const frame = { spinner: '-', now: 12_400, width: 60, paint: noPaint };
    for (const event of run.slice(0, 4)) followSteps(steps, event, 1000);
    followSteps(
      steps,
      { type: 'step-progress', step: install.step, done: 12, total: 106, unit: 'items' },
      2000,
    );
    expect(liveText(steps, frame)).toBe(
      '-  main: install packages  11 s  12 of 106  Setting up \\x1b'.slice(0, 59),
    );
    for (const width of [10, 30, 59, 200]) {
      expect(liveText(steps, { ...frame, width }).length).toBeLessThan(width);
    }
    for (const event of run.slice(4)) followSteps(steps, event, 3000);
    expect(liveText(steps, frame)).toBe('');
  });
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1_048_575, '1.0 MiB'],
  [5 * 2 ** 30, '5.0 GiB'],
  [150 * 2 ** 20, '150 MiB'],
])('formatBytes(%d)', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [12, '12 ms'],
  [999.7, '1.0 s'],
  [5230, '5.2 s'],
  [59_999, '1 min 0 s'],
  [200_000, '3 min 20 s'],
  [7_500_000, '2 h 5 min'],
])('formatDuration(%d)', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});
