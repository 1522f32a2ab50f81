import { ConfigurationError, MkimgError } from '../base/errors.ts';
import type { BootPhases } from '../qemu/report.ts';
import type { ImageTestReport } from '../qemu/test-image.ts';
import { testImage } from '../qemu/test-image.ts';
import { printable } from '../sandbox/text.ts';
import type { ImageMachine, RuntimeHooks } from './machine.ts';
import { withMachine } from './machine.ts';
import { imageOption } from './session/images.ts';
import { configurationPrograms } from './session/programs.ts';
import type { Verb, VerbContext } from './verb.ts';

/** `mkimg test`: boots the image and tells whether it came up without a fault. */
export function testVerb(hooks: RuntimeHooks): Verb {
  return {
    name: 'test',
    summary: 'Boot the image in QEMU and check that it comes up',
    doc: `Boots the image without a terminal, waits until systemd says that it is up, and shuts it down. Exit code 1 if it does
not come up in time or if units failed; the report names them and shows the end of the console.`,
    answers: true,
    options: [
      { name: 'timeout', takesValue: true, summary: 'Seconds until the boot counts as failed' },
      imageOption,
    ],
    run: async (context) => {
      const timeoutSeconds = parseTimeout(context.options.extra['timeout']);
      return await withMachine(context, hooks, (prepared) => run(prepared, context, timeoutSeconds));
    },
  };
}

async function run(
  { config, machine, source, host, stateDirectory }: ImageMachine,
  context: VerbContext,
  timeoutSeconds: number | undefined,
): Promise<number> {
  const report = await testImage(
    {
      inputs: {
        config,
        machine,
        source,
        extraArguments: [...config.QemuArgs, ...context.rest],
        workingDirectory: context.options.directory,
        runProgram: configurationPrograms(context.events, context.signal),
      },
      stateDirectory,
      timeoutSeconds,
      signal: context.signal,
    },
    host,
  );
  if (context.signal.aborted) throw new MkimgError('interrupted', 'interrupted', { class: 'interrupted' });
  for (const { phase, milliseconds } of phasesOf(report)) {
    context.events.emit({ type: 'boot', phase, milliseconds });
  }
  context.print(context.options.json ? JSON.stringify(report, undefined, 2) : reportText(report));
  return report.passed ? 0 : 1;
}

/** @throws ConfigurationError when it is not a number of seconds */
export function parseTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (seconds > 0) return seconds;
  throw new ConfigurationError([
    {
      severity: 'error',
      code: 'bad-value',
      message: `'${text}' is not a number of seconds`,
      origin: { kind: 'flag', text: `--timeout=${text}` },
      hint: 'Write a whole number, such as --timeout=120.',
    },
  ]);
}

/** The result for people. What came from the guest is made safe to print. */
export function reportText(report: ImageTestReport): string {
  const how = report.accelerator === 'kvm' ? 'KVM' : 'software emulation';
  const { verdict } = report;
  const lines =
    verdict.outcome === 'passed'
      ? [`${report.image}: boot test passed in ${report.seconds} s (${how})`]
      : [
          ...failureLines(report),
          `${report.image}: boot test FAILED: ${printable(verdict.message)} (${how})`,
        ];
  return [...lines, ...phasesOf(report).map(phaseLine), `  results in ${report.results}`].join('\n');
}

function failureLines(report: ImageTestReport): string[] {
  return [
    ...(report.consoleTail.length === 0 ? [] : ['last lines of the console:']),
    ...report.consoleTail.map((line) => `  | ${printable(line)}`),
    ...report.failedUnits.flatMap(({ unit, log }) => [
      `${printable(unit)} failed${log.length === 0 ? '' : '; its last messages:'}`,
      ...log.map((line) => `  | ${printable(line)}`),
    ]),
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

function phasesOf({ phases }: ImageTestReport): { phase: string; milliseconds: number }[] {
  return phaseNames.flatMap((phase) => {
    const milliseconds = phases[phase];
    return milliseconds === undefined ? [] : [{ phase, milliseconds }];
  });
}

function phaseLine({ phase, milliseconds }: { phase: string; milliseconds: number }): string {
  return `  ${phase.padEnd(10)}${(milliseconds / 1000).toFixed(1).padStart(7)} s`;
}
