import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { shellCommand } from '../sandbox/text.ts';
import type { BootResult } from './boot-test.ts';
import { runBootTest } from './boot-test.ts';
import { prepareDrives } from './drives.ts';
import type { AcceleratorChoice } from './kvm.ts';
import { chooseAccelerator, kvmVerdict, rememberBrokenKvm } from './kvm.ts';
import { describeMachine } from './machine-request.ts';
import { runProbe } from './probe/run.ts';
import type { GuestChannelKind } from './guest/agent.ts';
import { timelineSvg } from './reports/timeline.ts';
import type { TestInputs } from './testing/machines.ts';
import { channelOf } from './testing/machines.ts';
import { measureTimeScale } from './testing/time-scale.ts';
import type { ImageSize } from './image-size.ts';
import { imageSizeOf } from './image-size.ts';
import type { VmHost } from './vm.ts';

/** Everything about the machine but what a test decides itself. */
export interface ImageTest {
  readonly inputs: TestInputs;
  readonly stateDirectory: HostPath;
  /** undefined: five minutes with KVM, and as much more without as the machine is slower. */
  readonly timeoutSeconds: number | undefined;
  readonly signal: AbortSignal;
}

/** How an image did. Plain JSON; also what report.json holds. */
export interface ImageTestReport extends BootResult {
  readonly image: string;
  readonly passed: boolean;
  /** Why the machine ran without KVM. */
  readonly note?: string;
  /** undefined for an image that is a tree. */
  readonly imageSize?: ImageSize;
  /** Directory with console.log, report.json, qemu-command, timeline.svg, and after a failure what tells of it. */
  readonly results: HostPath;
}

/** Seconds with KVM. */
const defaultTimeout = 300;

/**
 * Boots an image on a throw-away copy of its disk and judges it; the results stand in `test-results/OUTPUT` of the
 * output directory afterwards. If KVM turns out to be broken, the test runs again without it.
 */
export async function testImage(test: ImageTest, host: VmHost): Promise<ImageTestReport> {
  const { config, machine } = test.inputs;
  const results = hostPath(join(config.OutputDirectory, 'test-results', config.Output));
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { recursive: true });
  const choice = await selectAccelerator(test, host);
  const channel = await channelOf(test.inputs);
  let result = await runOnce(test, host, { choice, channel, results });
  let note = choice.note;
  if (
    result.verdict.outcome === 'failed' &&
    result.verdict.reason === 'kvm-broken' &&
    config.KVM === 'auto'
  ) {
    await rememberBrokenKvm(machine, test.stateDirectory, result.verdict.message);
    note = `KVM failed (${result.verdict.message}); the machine ran in software.`;
    host.events.emit({ type: 'note', level: 'warning', code: 'kvm-broken', message: note });
    result = await runOnce(test, host, { choice: { accelerator: 'tcg' }, channel, results });
  }
  const imageSize = await imageSizeOf(test.inputs.source);
  const report: ImageTestReport = {
    image: config.Output,
    passed: result.verdict.outcome === 'passed',
    ...result,
    ...(note === undefined ? {} : { note }),
    ...(imageSize === undefined ? {} : { imageSize }),
    results,
  };
  await writeFile(join(results, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(join(results, 'qemu-command'), `${shellCommand(result.commandLine)}\n`);
  const timeline = timelineSvg(config.Output, result);
  if (timeline !== undefined) await writeFile(join(results, 'timeline.svg'), timeline);
  return report;
}

/** The accelerator that `KVM=` and this host allow; the note says why it is not KVM. */
export async function selectAccelerator(
  {
    inputs,
    stateDirectory,
  }: Pick<ImageTest, 'stateDirectory'> & {
    readonly inputs: Pick<TestInputs, 'config' | 'machine'>;
  },
  host: VmHost,
): Promise<AcceleratorChoice> {
  const { config, machine } = inputs;
  const choice = await chooseAccelerator(config.KVM, () =>
    kvmVerdict(machine, stateDirectory, () => runProbe(machine, 'kvm', host)),
  );
  if (choice.note !== undefined) {
    host.events.emit({ type: 'note', level: 'info', code: 'no-kvm', message: choice.note });
  }
  return choice;
}

interface Attempt {
  readonly choice: AcceleratorChoice;
  readonly channel: GuestChannelKind;
  readonly results: HostPath;
}

async function runOnce(test: ImageTest, host: VmHost, attempt: Attempt): Promise<BootResult> {
  const { inputs } = test;
  const { accelerator } = attempt.choice;
  const timeScale = await measureTimeScale(inputs.machine, accelerator, host);
  await using drives = await prepareDrives(inputs.config.Drives, host.scratch, inputs.extraArguments);
  const machine = await describeMachine({
    ...inputs,
    accelerator,
    tools: host.tools,
    drives: drives.disks,
    ephemeral: true,
    console: 'socket',
    display: 'spare',
    unattended: true,
  });
  return await runBootTest(
    {
      machine,
      channel: attempt.channel,
      timeoutSeconds: test.timeoutSeconds ?? Math.ceil(defaultTimeout * timeScale),
      timeScale,
      results: attempt.results,
      signal: test.signal,
    },
    host,
  );
}
