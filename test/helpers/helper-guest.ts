import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { RequestedDisk, VmHost, VmRequest } from '../../src/qemu/vm.ts';
import { bareMachine } from './bare-machine.ts';
import type { ConsoleGuest } from './console-guest.ts';
import { startConsoleGuest } from './console-guest.ts';
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

/** Runs a job to its end; returns what its console has shown. @throws Error with the end of the console when the job failed or took ten minutes */
export async function runJob(job: Job, host: VmHost): Promise<string> {
  await using running = await startJob(job, host);
  await running.ended();
  const console = await running.console();
  if (console.includes('helper: the job ended with status 0')) return console;
  throw new Error(`the job in the helper guest failed:\n${console.slice(-4000)}`);
}

/** Starts a job and returns while it runs: for guests that serve others. */
export async function startJob(job: Job, host: VmHost): Promise<ConsoleGuest> {
  const script = join(job.directory, 'job.sh');
  await writeFile(script, job.script);
  const { extraArguments = [], extraMounts = [], ...machine } = job.machine ?? {};
  const request = bareMachine(hostPath(script), {
    memory: 1536 * 2 ** 20,
    kernel: job.helper,
    commandLine: ['console=ttyS0', 'quiet', 'mitigations=off'],
    disks: job.disks.map((disk) => ({ options: 'cache=unsafe', ...disk })),
    ...machine,
    extraArguments: ['-fw_cfg', 'name=opt/mkimg/job,file=/job.sh', ...extraArguments],
    extraMounts: [{ source: hostPath(script), target: '/job.sh', mode: 'ro' }, ...extraMounts],
  });
  return startConsoleGuest(request, hostPath(join(job.directory, 'helper-console.log')), host);
}
