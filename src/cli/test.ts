import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { ConfigurationError } from '../base/errors.ts';
import { junitXml } from '../qemu/reports/junit.ts';
import type { ImageTestReport } from '../qemu/test-image.ts';
import { testImage } from '../qemu/test-image.ts';
import type { BuiltProject, ImageMachine, RuntimeHooks } from './machine.ts';
import { withBuiltProject } from './machine.ts';
import { imageOption, selectImage } from './session/images.ts';
import { readProject } from './session/project.ts';
import { phasesOf, reportText } from './testing/report-text.ts';
import type { RunOptions } from './testing/run.ts';
import { inputsOf, runTests, stopIfInterrupted } from './testing/run.ts';
import { listJson, listText, selectTests } from './testing/selection.ts';
import type { Verb, VerbContext } from './verb.ts';

/** `mkimg test`: boots the image and tells whether it came up without a fault, and what the project's tests say of it. */
export function testVerb(hooks: RuntimeHooks): Verb {
  return {
    name: 'test',
    summary: 'Boot the image in QEMU and check that it comes up',
    doc: `Boots the image without a terminal, waits until systemd says that it is up, and shuts it down. Where the image has tests
in \`mkimg.tests/\`, all of them run instead, or those that are named; docs/testing.md says how they are written. Exit code 1
if the system does not come up in time, if units failed, or if a test fails; the report names them and shows the end of the
console. What tells why is kept in \`test-results/\` of the output directory.`,
    answers: true,
    words: { usage: '[TEST...]', choices: [] },
    options: [
      imageOption,
      { name: 'list', takesValue: false, summary: 'Show which tests there are, and run none' },
      { name: 'timeout', takesValue: true, summary: 'Seconds until a test counts as failed' },
      { name: 'jobs', takesValue: true, summary: 'How many tests run side by side; 1 when it is not given' },
      {
        name: 'junit',
        takesValue: true,
        isFile: true,
        summary: 'Write a report in the form of JUnit to this file',
      },
      { name: 'keep', takesValue: false, summary: 'Keep the disks of the machines with the results' },
    ],
    run: async (context) => {
      if (context.options.extra['list'] !== undefined) return list(context);
      const options = runOptions(context);
      return await withBuiltProject(context, hooks, {
        readsTests: true,
        use: (built) => run(built, context, options),
      });
    },
  };
}

async function list(context: VerbContext): Promise<number> {
  const project = await readProject(context, { readsTests: true });
  const tests = project.tests.get(selectImage(project, context).name) ?? [];
  context.print(context.options.json ? listJson(tests) : listText(tests));
  return 0;
}

async function run(built: BuiltProject, context: VerbContext, options: RunOptions): Promise<number> {
  const all = built.project.tests.get(built.image.name) ?? [];
  const selected = selectTests(all, context.words);
  if (all.length > 0) return runTests(built, context, { ...selected, options });
  return runBuiltInTest(await built.prepare(built.image), context, options);
}

async function runBuiltInTest(
  image: ImageMachine,
  context: VerbContext,
  { timeoutSeconds, junit }: RunOptions,
): Promise<number> {
  const report = await testImage(
    {
      inputs: inputsOf(image, context),
      stateDirectory: image.stateDirectory,
      timeoutSeconds,
      signal: context.signal,
    },
    image.host,
  );
  stopIfInterrupted(context);
  for (const { phase, milliseconds } of phasesOf(report)) {
    context.events.emit({ type: 'boot', phase, milliseconds });
  }
  if (junit !== undefined) await writeFile(junit, builtInJunit(report));
  context.print(context.options.json ? JSON.stringify(report, undefined, 2) : reportText(report));
  return report.passed ? 0 : 1;
}

function builtInJunit({
  image,
  seconds,
  verdict,
  failedUnits,
  consoleTail,
  results,
}: ImageTestReport): string {
  const details = failedUnits.flatMap(({ unit, log }) => [unit, ...log]);
  const outcome =
    verdict.outcome === 'passed'
      ? ({ kind: 'passed' } as const)
      : ({ kind: 'failed', type: verdict.reason, message: verdict.message, details } as const);
  const output = verdict.outcome === 'passed' ? [] : consoleTail;
  return junitXml(image, [{ name: 'boot', seconds, outcome, output, results }]);
}

/** @throws ConfigurationError for numbers that are none */
function runOptions({ options: { extra } }: VerbContext): RunOptions {
  const { junit } = extra;
  return {
    timeoutSeconds: parseTimeout(extra['timeout']),
    jobs: parseJobs(extra['jobs']),
    keepsDisks: extra['keep'] !== undefined,
    junit: junit === undefined ? undefined : hostPath(resolve(junit)),
  };
}

/** @throws ConfigurationError when it is not a number of seconds */
export function parseTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (seconds > 0) return seconds;
  throw badOption(
    'timeout',
    `'${text}' is not a number of seconds`,
    'Write a whole number, such as --timeout=120.',
  );
}

/** @throws ConfigurationError when it is not a number of jobs */
export function parseJobs(text: string | undefined): number {
  if (text === undefined) return 1;
  const jobs = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (jobs > 0) return jobs;
  throw badOption('jobs', `'${text}' is not a number of tests`, 'Write a whole number, such as --jobs=2.');
}

function badOption(name: string, message: string, hint: string): ConfigurationError {
  const origin: Diagnostic['origin'] = { kind: 'flag', text: `--${name}` };
  return new ConfigurationError([{ severity: 'error', code: 'bad-value', message, origin, hint }]);
}
