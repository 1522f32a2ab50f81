import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { allOf } from '../../base/concurrency.ts';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { ConfigurationError, MkimgError } from '../../base/errors.ts';
import { withNotesOnce } from '../../base/events.ts';
import { closest } from '../../base/suggestion.ts';
import type { BootTestDefinition } from '../../config/project.ts';
import { withTestSettings } from '../../config/tests/apply.ts';
import type { JunitCase } from '../../qemu/reports/junit.ts';
import { junitXml } from '../../qemu/reports/junit.ts';
import type { DefinedTest, DefinedTestReport } from '../../qemu/testing/defined-test.ts';
import { runDefinedTest } from '../../qemu/testing/defined-test.ts';
import type { TestInputs } from '../../qemu/testing/machines.ts';
import type { BuiltProject, ImageMachine } from '../machine.ts';
import { configurationPrograms } from '../session/programs.ts';
import type { VerbContext } from '../verb.ts';
import { definedReportText, phasesOf } from './report-text.ts';
import type { SelectedTests } from './selection.ts';

/** What the command line says of a run of tests. */
export interface RunOptions {
  /** Seconds for each test; undefined for what the tests say. */
  readonly timeoutSeconds: number | undefined;
  readonly jobs: number;
  readonly keepsDisks: boolean;
  /** Where a report for CI goes. */
  readonly junit: HostPath | undefined;
}

/** Runs tests out of mkimg.tests/, prints how each went, and returns the exit code. */
export async function runTests(
  built: BuiltProject,
  context: VerbContext,
  { tests, skipped, options }: SelectedTests & { readonly options: RunOptions },
): Promise<number> {
  const prepared = [];
  // Before anything runs: what is missing for the last test is said at once.
  for (const definition of tests) prepared.push(await prepareTest(built, context, definition));
  const events = withNotesOnce(context.events);
  const limit = pLimit(options.jobs);
  const reports = await allOf(
    prepared.map(
      (test) => () => limit(() => runPrepared({ ...test, host: { ...test.host, events } }, context, options)),
    ),
  );
  if (options.junit !== undefined) {
    await writeFile(
      options.junit,
      junitXml(built.image.name, [...reports.map(junitCase), ...skipped.map(skippedCase)]),
    );
  }
  const failed = reports.filter(({ passed }) => !passed);
  if (context.options.json) {
    const answer = { image: built.image.name, passed: failed.length === 0, tests: reports, skipped };
    context.print(JSON.stringify(answer, undefined, 2));
  } else {
    skipped.forEach(({ name, reason }) => context.print(`${name}: skipped: ${reason}`));
    context.print(countText(reports, skipped.length));
  }
  return failed.length === 0 ? 0 : 1;
}

type PreparedTest = Omit<DefinedTest, 'signal' | keyof RunOptions> & Pick<ImageMachine, 'host'>;

async function runPrepared(
  { host, ...test }: PreparedTest,
  context: VerbContext,
  options: RunOptions,
): Promise<DefinedTestReport> {
  stopIfInterrupted(context);
  const report = await runDefinedTest({ ...test, ...options, signal: context.signal }, host);
  stopIfInterrupted(context);
  announce(report, context);
  return report;
}

/** @throws MkimgError `interrupted` */
export function stopIfInterrupted({ signal }: Pick<VerbContext, 'signal'>): void {
  if (signal.aborted) throw new MkimgError('interrupted', 'interrupted', { class: 'interrupted' });
}

async function prepareTest(
  { project, image, prepare }: BuiltProject,
  context: VerbContext,
  definition: BootTestDefinition,
): Promise<PreparedTest> {
  const own = await prepare(withTestSettings(image, definition));
  const others = new Map<string, TestInputs>();
  for (const { action, origin } of definition.steps) {
    if (action.kind !== 'boot' || action.image === undefined || others.has(action.image)) continue;
    const other = project.images.find(({ name }) => name === action.image);
    if (other === undefined)
      throw unknownImage(
        action.image,
        project.images.map(({ name }) => name),
        origin,
      );
    others.set(action.image, inputsOf(await prepare(withTestSettings(other, definition)), context));
  }
  const { name } = definition;
  const directory = image === project.main ? name : `${image.name}.${name}`;
  return {
    definition,
    image: image.name,
    inputs: inputsOf(own, context),
    others,
    stateDirectory: own.stateDirectory,
    results: hostPath(join(own.config.OutputDirectory, 'test-results', directory)),
    host: own.host,
  };
}

/** What every test of an image starts from, the built-in one included. */
export function inputsOf({ config, machine, source }: ImageMachine, context: VerbContext): TestInputs {
  return {
    config,
    machine,
    source,
    extraArguments: [...config.QemuArgs, ...context.rest],
    workingDirectory: context.options.directory,
    runProgram: configurationPrograms(context.events, context.signal),
  };
}

function unknownImage(
  name: string,
  names: readonly string[],
  origin: BootTestDefinition['steps'][number]['origin'],
): ConfigurationError {
  const near = closest(name, names);
  return new ConfigurationError([
    {
      ...{ severity: 'error', code: 'unknown-image', message: `the project has no image '${name}'`, origin },
      hint: near === undefined ? `It has ${names.join(', ')}.` : `Did you mean ${near}?`,
    },
  ]);
}

function announce(report: DefinedTestReport, context: VerbContext): void {
  for (const boot of report.boots) {
    for (const { phase, milliseconds } of phasesOf(boot)) {
      context.events.emit({ type: 'boot', phase, milliseconds });
    }
  }
  if (!context.options.json) context.print(definedReportText(report));
}

function countText(reports: readonly DefinedTestReport[], skipped: number): string {
  const failed = reports.filter(({ passed }) => !passed);
  const names = failed.map(({ name }) => name).join(', ');
  return [
    `${reports.length - failed.length} of ${reports.length} test${reports.length === 1 ? '' : 's'} passed`,
    ...(failed.length === 0 ? [] : [`failed: ${names}`]),
    ...(skipped === 0 ? [] : [`skipped: ${skipped}`]),
  ].join('; ');
}

function junitCase({ name, seconds, verdict, steps, consoleTail, results }: DefinedTestReport): JunitCase {
  const output = verdict.outcome === 'passed' ? [] : consoleTail;
  if (verdict.outcome === 'passed') return { name, seconds, outcome: { kind: 'passed' }, output, results };
  const failedStep = steps.findLast(({ passed }) => !passed);
  const details = [
    ...(failedStep === undefined ? [] : [failedStep.step]),
    verdict.message,
    ...(verdict.details ?? []),
  ];
  const outcome = { kind: 'failed', type: verdict.reason, message: verdict.message, details } as const;
  return { name, seconds, outcome, output, results };
}

function skippedCase({ name, reason }: SelectedTests['skipped'][number]): JunitCase {
  return { name, seconds: 0, outcome: { kind: 'skipped', message: reason }, output: [], results: undefined };
}
