import type { BootFacts } from '../boot-test.ts';
import type { BootPhases } from '../guest/report.ts';
import { printable } from '../../sandbox/text.ts';
import { xmlAttributes, xmlText } from './xml.ts';

const width = 1000;
const margin = 20;
const rowHeight = 20;
const barHeight = 14;
/** Units below the phases. */
const mostUnits = 40;
const longestName = 80;

const phaseColours = {
  firmware: '#8e8e93',
  loader: '#b58900',
  kernel: '#268bd2',
  initrd: '#6c71c4',
  userspace: '#2aa198',
} as const;

type Phase = keyof typeof phaseColours;

const unitColours: Readonly<Record<string, string>> = {
  service: '#859900',
  mount: '#cb4b16',
  swap: '#cb4b16',
  target: '#586e75',
};

interface Bar {
  readonly label: string;
  readonly colour: string;
  /** Milliseconds from the start of the machine. */
  readonly begin: number;
  readonly duration: number;
}

/**
 * The course of a boot as a picture (SVG): its phases one behind the other, and below them the units that took longest to
 * come up, in the order in which they were started. undefined when the guest told nothing of it.
 */
export function timelineSvg(
  title: string,
  { phases, slowestUnits }: Pick<BootFacts, 'phases' | 'slowestUnits'>,
): string | undefined {
  const parts = phaseBars(phases);
  if (parts.length === 0) return undefined;
  // Units count from the kernel's start.
  const kernelStart = (phases.firmware ?? 0) + (phases.loader ?? 0);
  const units = slowestUnits
    .slice(0, mostUnits)
    .map(({ unit, begin, duration }) => unitBar(unit, kernelStart + begin, duration))
    .sort((left, right) => left.begin - right.begin);
  const end = Math.max(...[...parts, ...units].map(({ begin, duration }) => begin + duration), 1);
  const scale = (width - 2 * margin) / end;
  const height = 60 + (units.length + 2) * rowHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg"${xmlAttributes({ width, height, viewBox: `0 0 ${width} ${height}` })} font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text${xmlAttributes({ x: margin, y: 18 })} font-size="14">${xmlText(printable(title))}</text>`,
    ...grid(end, scale, height),
    ...parts.map((bar) => barText(bar, 46, scale)),
    ...units.map((bar, index) => barText(bar, 46 + (index + 2) * rowHeight, scale)),
    '</svg>',
    '',
  ].join('\n');
}

function phaseBars(phases: BootPhases): readonly Bar[] {
  const bars: Bar[] = [];
  let begin = 0;
  for (const phase of Object.keys(phaseColours) as Phase[]) {
    const duration = phases[phase];
    if (duration === undefined) continue;
    bars.push({ label: phase, colour: phaseColours[phase], begin, duration });
    begin += duration;
  }
  return bars;
}

function unitBar(unit: string, begin: number, duration: number): Bar {
  const type = unit.slice(unit.lastIndexOf('.') + 1);
  const colour = (Object.hasOwn(unitColours, type) ? unitColours[type] : undefined) ?? '#93a1a1';
  return { label: printable(unit).slice(0, longestName), colour, begin, duration };
}

function barText({ label, colour, begin, duration }: Bar, top: number, scale: number): string {
  const x = Math.round(margin + begin * scale);
  const size = Math.max(1, Math.round(duration * scale));
  const text = `${label} ${(duration / 1000).toFixed(duration < 10_000 ? 2 : 1)} s`;
  // A label beside the right edge would be cut.
  const isLate = x > width * 0.7;
  const place = isLate ? { x: x - 4, 'text-anchor': 'end' } : { x: x + 4 };
  return [
    `<g><title>${xmlText(text)}</title>`,
    `<rect${xmlAttributes({ x, y: top, width: size, height: barHeight, fill: colour, 'fill-opacity': 0.6 })}/>`,
    `<text${xmlAttributes({ ...place, y: top + 11 })}>${xmlText(text)}</text></g>`,
  ].join('');
}

/** Lines for about ten round moments. */
function grid(end: number, scale: number, height: number): readonly string[] {
  const step =
    [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000].find((size) => end / size <= 12) ?? end / 10;
  const lines: string[] = [];
  for (let at = 0; at <= end; at += step) {
    const x = Math.round(margin + at * scale);
    lines.push(
      `<line${xmlAttributes({ x1: x, x2: x, y1: 36, y2: height - 4, stroke: '#e0e0e0' })}/>`,
      `<text${xmlAttributes({ x: x + 2, y: 34, fill: '#808080' })}>${Number((at / 1000).toFixed(1))} s</text>`,
    );
  }
  return lines;
}
