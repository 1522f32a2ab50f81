import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { shellCommand } from '../sandbox/text.ts';
import type { BootResult } from './boot-test.ts';
import { runBootTest } from './boot-test.ts';
import { guestChannels } from './credentials.ts';
import { prepareDrives } from './drives.ts';
import type { AcceleratorChoice } from './kvm.ts';
import { chooseAccelerator, kvmVerdict, rememberBrokenKvm } from './kvm.ts';
import type { MachineInputs } from './machine-request.ts';
import { describeMachine, needsFirmware } from './machine-request.ts';
import { runProbe } from './probe/run.ts';
import type { ReportChannel } from './report.ts';
import { chooseReportChannel } from './report.ts';
import { debianReleaseFacts } from '../distro/tables/debian.ts';
import { systemdVersionOf } from './systemd-version.ts';
import type { VmHost } from './vm.ts';

/** Everything about the machine but what a test decides itself. */
export interface ImageTest {
  readonly inputs: Omit<
    MachineInputs,
    'accelerator' | 'console' | 'drives' | 'ephemeral' | 'terminal' | 'tools' | 'unattended'
  >;
  readonly stateDirectory: HostPath;
  /** undefined: {@link defaultTimeout}. */
  readonly timeoutSeconds: number | undefined;
  readonly signal: AbortSignal;
}

/** How an image did. Plain JSON; also what report.json holds. */
export interface ImageTestReport extends BootResult {
  readonly image: string;
  readonly passed: boolean;
  /** Why the machine ran without KVM. */
  readonly note?: string;
  /** Directory with console.log, report.json and qemu-command. */
  readonly results: HostPath;
}

/** Seconds. Software emulation is slower, and how much depends on how busy the host is. */
export const defaultTimeout = { kvm: 300, tcg: 600 } as const;

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
  const systemd =
    (await systemdVersionOf(config.OutputDirectory, config.Output)) ??
    debianReleaseFacts(config.Release).systemd;
  const { smbios } = guestChannels(machine.channels, {
    hasFirmware: needsFirmware(machine, test.inputs.source),
    commandLine: undefined,
  });
  // What brings the report there takes some kilobytes, which no kernel command line has.
  const channel = smbios ? chooseReportChannel(systemd) : 'console';
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
  const report: ImageTestReport = {
    image: config.Output,
    passed: result.verdict.outcome === 'passed',
    ...result,
    ...(note === undefined ? {} : { note }),
    results,
  };
  await writeFile(join(results, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(join(results, 'qemu-command'), `${shellCommand(result.commandLine)}\n`);
  return report;
}

/** The accelerator that `KVM=` and this host allow; the note says why it is not KVM. */
export async function selectAccelerator(
  {
    inputs,
    stateDirectory,
  }: Pick<ImageTest, 'stateDirectory'> & {
    readonly inputs: Pick<MachineInputs, 'config' | 'machine'>;
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
  readonly channel: ReportChannel;
  readonly results: HostPath;
}

async function runOnce(test: ImageTest, host: VmHost, attempt: Attempt): Promise<BootResult> {
  const { inputs } = test;
  const { accelerator } = attempt.choice;
  await using drives = await prepareDrives(inputs.config.Drives, host.scratch, inputs.extraArguments);
  const machine = await describeMachine({
    ...inputs,
    accelerator,
    tools: host.tools,
    drives: drives.disks,
    ephemeral: true,
    console: 'socket',
    unattended: true,
  });
  return await runBootTest(
    {
      machine,
      channel: attempt.channel,
      timeoutSeconds: test.timeoutSeconds ?? defaultTimeout[accelerator],
      consoleLog: hostPath(join(attempt.results, 'console.log')),
      signal: test.signal,
    },
    host,
  );
}
