import type { RunEvent } from '../../base/events.ts';
import { printable, shellCommand } from '../../sandbox/text.ts';
import { formatDuration } from './format.ts';
import type { Tally } from './tally.ts';
import { summaryLines } from './tally.ts';

/** Which words are set off, and how; plain text has none of it. */
export interface Paint {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly weak: (text: string) => string;
  readonly strong: (text: string) => string;
}

const same = (text: string): string => text;

export const noPaint: Paint = { good: same, bad: same, weak: same, strong: same };

export interface LineOptions {
  readonly debug: boolean;
  /** Also say that a step begins: where there is no live display of what runs. */
  readonly announceStarts: boolean;
  readonly paint: Paint;
  readonly tally: Tally;
}

/** The lines that an event leaves on the screen for good; none for most. */
export function eventLines(event: RunEvent, options: LineOptions): readonly string[] {
  const { paint, debug } = options;
  switch (event.type) {
    case 'step-started':
    case 'step-finished':
    case 'step-hit':
    case 'step-failed':
      return stepLines(event, options);
    case 'step-explained':
      return [
        `${paint.weak('why')}    ${printable(event.label)}: ${event.reasons.map(printable).join('; ')}`,
      ];
    case 'output':
    case 'command':
      return debug ? [toolLine(event, paint)] : [];
    case 'note':
      return noteLines(event, paint);
    case 'error':
      return errorLines(event, paint);
    case 'run-finished':
      return summaryLines(options.tally, event, paint);
    default:
      return [];
  }
}

type ToolEvent = Extract<RunEvent, { readonly type: 'output' | 'command' }>;

function toolLine(event: ToolEvent, paint: Paint): string {
  return event.type === 'command'
    ? paint.weak(`+ ${shellCommand([event.tool, ...event.argv])}`)
    : `${paint.weak(`${printable(event.tool)}:`)} ${printable(event.line)}`;
}

type StepEvent = Extract<
  RunEvent,
  { readonly type: 'step-started' | 'step-finished' | 'step-hit' | 'step-failed' }
>;

function stepLines(event: StepEvent, { paint, announceStarts }: LineOptions): readonly string[] {
  const label = printable(event.label);
  if (event.type === 'step-started') return announceStarts ? [`${paint.weak('begin')}  ${label}`] : [];
  if (event.type === 'step-hit')
    return [`${paint.weak(event.shared === true ? 'shared' : 'stored')} ${label}`];
  const verdict = event.type === 'step-finished' ? paint.good('done  ') : paint.bad('failed');
  return [`${verdict} ${label} ${paint.weak(formatDuration(event.milliseconds))}`];
}

function noteLines(event: Extract<RunEvent, { type: 'note' }>, paint: Paint): readonly string[] {
  const prefix = event.level === 'warning' ? `${paint.bad('warning:')} ` : '';
  return [`${prefix}${textBlock(event.message)}`, ...hintLines(event.hint)];
}

/** What failed, what the tool said last, what to do, and the way back into its sandbox. */
function errorLines(event: Extract<RunEvent, { type: 'error' }>, paint: Paint): readonly string[] {
  const place = event.location === undefined ? '' : `${printable(event.location)}: `;
  return [
    ...(event.tail ?? []).map((line) => `${paint.weak('  |')} ${printable(line)}`),
    `${place}${paint.bad('error:')} ${textBlock(event.message)}`,
    ...(event.excerpt ?? []).map(printableExcerpt),
    ...hintLines(event.hint),
    // Not escaped: shellCommand() made it, in printable form, and it must be paste-able as it is.
    ...(event.reenter === undefined
      ? []
      : ['  to look around in the same sandbox, until the next build:', `    ${event.reenter}`]),
  ];
}

/** Tabs stay, so that the mark stands below what it marks. */
function printableExcerpt(line: string): string {
  return line.split('\t').map(printable).join('\t');
}

function hintLines(hint: string | undefined): readonly string[] {
  return hint === undefined ? [] : [`  hint: ${textBlock(hint)}`];
}

/** Text of our own that may have several lines and may quote others' words. */
function textBlock(text: string): string {
  return text.split('\n').map(printable).join('\n  ');
}
