import type { BootFacts } from '../../qemu/boot-test.ts';
import type { BootPhases } from '../../qemu/guest/report.ts';
import type { ImageTestReport } from '../../qemu/test-image.ts';
import type { DefinedTestReport } from '../../qemu/testing/defined-test.ts';
import { printable } from '../../sandbox/text.ts';

/** Units that a summary names. */
const namedUnits = 5;
/** Faster ones are not worth a word. */
const leastMilliseconds = 500;

/** The result of the built-in test for people. What came from the guest is made safe to print. */
export function reportText(report: ImageTestReport): string {
  const { verdict } = report;
  const how = machineKind(report);
  const lines =
    verdict.outcome === 'passed'
      ? [`${report.image}: boot test passed in ${report.seconds} s (${how})`]
      : [
          ...consoleLines(report.consoleTail),
          ...report.failedUnits.flatMap(unitLines),
          `${report.image}: boot test FAILED: ${printable(verdict.message)} (${how})`,
        ];
  return [...lines, ...bootLines(report), ...sizeLines(report), `  results in ${report.results}`].join('\n');
}

/** The result of a test out of mkimg.tests/ for people. What came from the guest is made safe to print. */
export function definedReportText(report: DefinedTestReport): string {
  const { verdict, boots, name } = report;
  const title = `${name}${report.description === undefined ? '' : ` (${report.description})`}`;
  const [first] = boots;
  const facts = [...(first === undefined ? [] : bootLines(first)), ...sizeLines(report)];
  const results = `  results in ${report.results}`;
  if (verdict.outcome === 'passed') {
    return [`${title}: passed in ${report.seconds} s (${machineKind(report)})`, ...facts, results].join('\n');
  }
  return [
    ...consoleLines(report.consoleTail),
    ...(boots.at(-1)?.failedUnits ?? []).flatMap(unitLines),
    `${title}: FAILED: ${printable(verdict.message)} (${machineKind(report)})`,
    ...(verdict.details ?? []).map((line) => `  | ${printable(line)}`),
    ...report.steps.map(stepLine),
    ...facts,
    results,
  ].join('\n');
}

function stepLine({ step, passed, seconds }: DefinedTestReport['steps'][number]): string {
  return `  ${passed ? 'done  ' : 'FAILED'}${seconds.toFixed(1).padStart(8)} s  ${printable(step)}`;
}

function machineKind({ accelerator }: Pick<DefinedTestReport, 'accelerator'>): string {
  return accelerator === 'kvm' ? 'KVM' : 'software emulation';
}

function consoleLines(tail: readonly string[]): string[] {
  return [
    ...(tail.length === 0 ? [] : ['last lines of the console:']),
    ...tail.map((line) => `  | ${printable(line)}`),
  ];
}

function unitLines({ unit, log }: BootFacts['failedUnits'][number]): string[] {
  return [
    `${printable(unit)} failed${log.length === 0 ? '' : '; its last messages:'}`,
    ...log.map((line) => `  | ${printable(line)}`),
  ];
}

const phaseNames: readonly (keyof BootPhases)[] = [
  'firmware',
  'loader',
  'kernel',
  'initrd',
  'userspace',
  'total',
];

/** The parts of a boot that the guest knows of, in order. */
export function phasesOf({ phases }: Pick<BootFacts, 'phases'>): { phase: string; milliseconds: number }[] {
  return phaseNames.flatMap((phase) => {
    const milliseconds = phases[phase];
    return milliseconds === undefined ? [] : [{ phase, milliseconds }];
  });
}

function bootLines(facts: BootFacts): string[] {
  const slow = facts.slowestUnits
    .filter(({ duration }) => duration >= leastMilliseconds)
    .slice(0, namedUnits);
  const names = slow.map(({ unit, duration }) => `${printable(unit)} ${inSeconds(duration)} s`).join(', ');
  const { memory } = facts;
  return [
    ...phasesOf(facts).map(({ phase, milliseconds }) =>
      fact(phase, `${inSeconds(milliseconds).padStart(7)} s`),
    ),
    ...(slow.length === 0 ? [] : [fact('slowest', `  ${names}`)]),
    ...(memory === undefined
      ? []
      : [
          fact(
            'memory',
            `  ${inMegabytes(memory.total - memory.available)} of ${inMegabytes(memory.total)} MB in use after the boot`,
          ),
        ]),
  ];
}

function sizeLines({ imageSize }: Pick<DefinedTestReport, 'imageSize'>): string[] {
  if (imageSize === undefined) return [];
  const { apparent, allocated } = imageSize;
  const onDisk = allocated < apparent ? `, ${inMegabytes(allocated)} MB of them on the disk` : '';
  return [fact('image', `  ${inMegabytes(apparent)} MB${onDisk}`)];
}

function fact(name: string, value: string): string {
  return `  ${name.padEnd(10)}${value}`;
}

function inSeconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
