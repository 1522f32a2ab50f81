import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { ConfigurationError, isErrno } from '../../base/errors.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import type { BootTestDefinition, TestStep } from '../../config/tests/definition.ts';
import { shellCommand } from '../../sandbox/text.ts';
import { prepareDrives } from '../drives.ts';
import { openConsoleLog } from '../guest/console-log.ts';
import type { FailureReason } from '../guest/verdict.ts';
import type { AcceleratorChoice } from '../kvm.ts';
import { rememberBrokenKvm } from '../kvm.ts';
import { timelineSvg } from '../reports/timeline.ts';
import type { ImageSize } from '../image-size.ts';
import { imageSizeOf } from '../image-size.ts';
import { selectAccelerator } from '../test-image.ts';
import { copySparsely } from '../sparse-copy.ts';
import type { VmHost } from '../vm.ts';
import { DiskCopies } from './disk-copies.ts';
import { saveEvidence } from './evidence.ts';
import type { TestInputs, TestMachinesRequest } from './machines.ts';
import { channelOf, describeTestMachine } from './machines.ts';
import { impossibleSteps } from './possible.ts';
import type { StepResult } from './run-steps.ts';
import { runSteps } from './run-steps.ts';
import type { BootRecord } from './session.ts';
import { TestSession } from './session.ts';
import { measureTimeScale } from './time-scale.ts';

/** A test out of mkimg.tests/, to be run. */
export interface DefinedTest {
  readonly definition: BootTestDefinition;
  /** Name of the image. */
  readonly image: string;
  readonly inputs: TestInputs;
  /** Those of the images that Image= names. */
  readonly others: ReadonlyMap<string, TestInputs>;
  readonly stateDirectory: HostPath;
  /** Instead of what the test says; not multiplied. */
  readonly timeoutSeconds: number | undefined;
  /** The disks stay among the results. */
  readonly keepsDisks: boolean;
  readonly results: HostPath;
  readonly signal: AbortSignal;
}

/** How a test went. Plain JSON; also what report.json holds. Text may hold anything that a guest wrote. */
export interface DefinedTestReport {
  readonly name: string;
  readonly description?: string;
  readonly image: string;
  readonly passed: boolean;
  readonly verdict:
    | { readonly outcome: 'passed' }
    | {
        readonly outcome: 'failed';
        readonly reason: FailureReason;
        readonly message: string;
        readonly details?: readonly string[];
      };
  readonly steps: readonly StepResult[];
  readonly boots: readonly BootRecord[];
  readonly accelerator: 'kvm' | 'tcg';
  /** Why the machine ran without KVM. */
  readonly note?: string;
  /** What times were multiplied by. */
  readonly timeScale: number;
  readonly seconds: number;
  /** undefined for an image that is a tree. */
  readonly imageSize?: ImageSize;
  readonly consoleTail: readonly string[];
  readonly commandLine: readonly string[];
  readonly results: HostPath;
}

/**
 * Runs a test on copies of the disks that it changes; the results stand in their directory afterwards. If KVM turns out to
 * be broken, the test runs again without it.
 * @throws ConfigurationError for steps that the guest or its machine cannot do, before anything is started; MkimgError
 * where there can be no machine at all
 */
export async function runDefinedTest(test: DefinedTest, host: VmHost): Promise<DefinedTestReport> {
  const { definition, inputs, results } = test;
  await checkSteps(test);
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { recursive: true });
  const choice = await selectAccelerator(test, host);
  let report = await runOnce(test, host, choice);
  const { verdict } = report;
  if (verdict.outcome === 'failed' && verdict.reason === 'kvm-broken' && inputs.config.KVM === 'auto') {
    await rememberBrokenKvm(inputs.machine, test.stateDirectory, verdict.message);
    const note = `KVM failed (${verdict.message}); the machine ran in software.`;
    host.events.emit({ type: 'note', level: 'warning', code: 'kvm-broken', message: note });
    report = await runOnce(test, host, { accelerator: 'tcg', note });
  }
  await writeReport(definition, report);
  return report;
}

async function checkSteps({ definition, inputs, others }: DefinedTest): Promise<void> {
  const all = [inputs, ...others.values()];
  const channels = await Promise.all(all.map(channelOf));
  const faults = impossibleSteps(definition.steps, {
    channel: channels.find((channel) => channel === 'console') ?? channels[0] ?? 'unit',
    hasNetwork: inputs.config.RuntimeNetwork !== 'none',
  });
  if (faults.length > 0) throw new ConfigurationError(faults);
}

async function runOnce(
  test: DefinedTest,
  host: VmHost,
  { accelerator, note }: AcceleratorChoice,
): Promise<DefinedTestReport> {
  const { definition, inputs, results, signal } = test;
  const timeScale = await measureTimeScale(inputs.machine, accelerator, host);
  const started = performance.now();
  await using scratch = await temporaryDirectory(host.scratch, 'mkimg-test-');
  await using drives = await prepareDrives(inputs.config.Drives, host.scratch, inputs.extraArguments);
  const steps = withEnd(definition.steps);
  const kept = keptBetween(steps, test, scratch.path);
  const machines = { ...test, ...kept, steps, drives: drives.disks, accelerator, host };
  await using log = openConsoleLog(hostPath(join(results, 'console.log')));
  await using session = new TestSession(
    { describe: (action) => describeTestMachine(machines, action), log, results },
    host,
  );
  const timeoutSeconds = test.timeoutSeconds ?? Math.ceil(definition.timeout * timeScale);
  const done = await runSteps(session, { steps, timeoutSeconds, timeScale, signal });
  if (done.failure !== undefined) await saveEvidence(session, done.failure.reason, timeScale);
  await session.stop();
  if (test.keepsDisks) await keep([...(kept.copies?.all() ?? []), ...drives.disks], results);
  const imageSize = await imageSizeOf(inputs.source);
  return {
    name: definition.name,
    ...(definition.description === undefined ? {} : { description: definition.description }),
    image: test.image,
    passed: done.failure === undefined,
    verdict: done.failure === undefined ? { outcome: 'passed' } : { outcome: 'failed', ...done.failure },
    steps: done.steps,
    boots: session.boots(),
    accelerator,
    ...(note === undefined ? {} : { note }),
    timeScale,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    ...(imageSize === undefined ? {} : { imageSize }),
    consoleTail: session.consoleTail,
    commandLine: session.commandLine,
    results,
  };
}

/** What one machine of a test leaves to the next. */
function keptBetween(
  steps: readonly TestStep[],
  { keepsDisks }: Pick<DefinedTest, 'keepsDisks'>,
  scratch: HostPath,
): Pick<TestMachinesRequest, 'copies' | 'memory'> {
  const isLong = steps.filter(({ action }) => action.kind === 'boot').length > 1;
  return {
    copies: isLong || keepsDisks ? new DiskCopies(scratch) : undefined,
    memory: isLong ? scratch : undefined,
  };
}

/** The guest of the last step is switched off in good order; one that was only started is not waited for. */
function withEnd(steps: readonly TestStep[]): readonly TestStep[] {
  const last = steps.at(-1);
  if (last === undefined || (last.action.kind === 'power' && last.action.change !== 'reboot')) return steps;
  const boot = steps.findLast(({ action }) => action.kind === 'boot');
  const change = boot?.action.kind === 'boot' && boot.action.goal === 'started' ? 'cut' : 'off';
  const end: TestStep = {
    action: { kind: 'power', change },
    label: `Power=${change}`,
    timeout: undefined,
    origin: last.origin,
  };
  return [...steps, end];
}

/** Moves disks to the results. */
async function keep(
  disks: readonly { readonly id: string; readonly path: HostPath }[],
  results: HostPath,
): Promise<void> {
  for (const { id, path } of disks) {
    const target = join(results, `${basename(id)}.raw`);
    try {
      await rename(path, target);
    } catch (error) {
      // Scratch is another file system than the results.
      if (!isErrno(error, 'EXDEV')) throw error;
      await copySparsely(path, hostPath(target));
    }
  }
}

async function writeReport(
  { description, name }: BootTestDefinition,
  report: DefinedTestReport,
): Promise<void> {
  const { results, commandLine, boots } = report;
  await writeFile(join(results, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(join(results, 'qemu-command'), `${shellCommand(commandLine)}\n`);
  for (const [index, boot] of boots.entries()) {
    const title = `${name}${boots.length > 1 ? `, boot ${index + 1}` : ''}${description === undefined ? '' : `: ${description}`}`;
    const svg = timelineSvg(title, boot);
    const file = index === 0 ? 'timeline.svg' : `timeline-${index + 1}.svg`;
    if (svg !== undefined) await writeFile(join(results, file), svg);
  }
}
