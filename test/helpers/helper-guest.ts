import { readFile, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { RequestedDisk, Vm, VmHost, VmRequest } from '../../src/qemu/vm.ts';
import { startVm } from '../../src/qemu/vm.ts';
import { bareMachine } from './bare-machine.ts';
import { until } from './cli.ts';
import type { GuestKernel } from './guest-images.ts';

/** A script for the helper guest. */
export interface Job {
  readonly helper: GuestKernel;
  /** POSIX sh, run with -eux as root. Disks are /dev/disk/by-id/virtio-ID. */
  readonly script: string;
  /** What the guest writes to them stays. */
  readonly disks: readonly RequestedDisk[];
  /** For the script and the console's log. */
  readonly directory: HostPath;
  readonly machine?: Partial<VmRequest> | undefined;
}

/** A helper guest that is up. */
export interface RunningJob extends AsyncDisposable {
  readonly vm: Vm;
  /** What its console has shown so far. */
  console(): Promise<string>;
  /** Waits until the console has shown this. @throws when the guest ends before */
  said(text: string): Promise<void>;
}

const minutes = 60_000;

/** Runs a job to its end; returns what its console has shown. @throws Error with the end of the console when the job failed or took ten minutes */
export async function runJob(job: Job, host: VmHost): Promise<string> {
  await using running = await startJob(job, host);
  const timer = setTimeout(() => void running.vm.stop(), 10 * minutes);
  await running.vm.ended;
  clearTimeout(timer);
  const console = await running.console();
  if (!console.includes('helper: the job ended with status 0')) throw jobFailed(console);
  return console;
}

/** Starts a job and returns while it runs: for guests that serve others. */
export async function startJob(job: Job, host: VmHost): Promise<RunningJob> {
  const script = join(job.directory, 'job.sh');
  const log = join(job.directory, 'helper-console.log');
  await writeFile(script, job.script);
  const { extraArguments = [], extraMounts = [], ...machine } = job.machine ?? {};
  const request = bareMachine(hostPath(script), {
    memory: 1536 * 2 ** 20,
    kernel: job.helper,
    commandLine: ['console=ttyS0', 'quiet', 'mitigations=off'],
    disks: job.disks.map((disk) => ({ options: 'cache=unsafe', ...disk })),
    console: 'socket',
    ...machine,
    extraArguments: ['-fw_cfg', 'name=opt/mkimg/job,file=/job.sh', ...extraArguments],
    extraMounts: [{ source: hostPath(script), target: '/job.sh', mode: 'ro' }, ...extraMounts],
  });
  const vm = await startVm(request, host, () => undefined);
  if (vm.console === undefined) throw new Error('a helper guest without a console');
  const logged = pipeline(vm.console, createWriteStream(log)).catch(() => undefined);
  const state = { hasEnded: false };
  void vm.ended.then(() => (state.hasEnded = true));
  const text = (): Promise<string> => readFile(log, 'latin1').catch(() => '');
  return {
    vm,
    console: async () => {
      if (state.hasEnded) await logged;
      return text();
    },
    said: (wanted) =>
      until(async () => {
        const console = await text();
        if (console.includes(wanted)) return true;
        if (state.hasEnded) throw jobFailed(console);
        return false;
      }, 10 * minutes),
    [Symbol.asyncDispose]: () => vm[Symbol.asyncDispose](),
  };
}

function jobFailed(console: string): Error {
  return new Error(`the job in the helper guest failed:\n${console.slice(-4000)}`);
}
