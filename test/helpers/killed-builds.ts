import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { isErrno } from '../../src/base/errors.ts';
import type { RunningMkimg } from './cli.ts';
import { until } from './cli.ts';
import type { ImageBench } from './image-bench.ts';
import { processesOf } from './image-bench.ts';

/** A small image whose build goes through all kinds of steps; `name` makes each one another. */
export function smallImage(name: string): string {
  const lines = [
    ...['[Distribution]', 'Release=trixie', '[Output]', 'Format=tar', '[Validation]', 'Checksum=yes'],
    ...['[Content]', 'Packages=more', 'ExtraTrees=extra', `Hostname=${name}`],
    ...['PostInstallationScripts=go.sh', ''],
  ];
  return lines.join('\n');
}

export const smallImageFiles = {
  'extra/etc/motd': 'hello\n',
  'go.sh': '#!/bin/sh\ndate >/dev/null\necho done >"$BUILDROOT/etc/done"\n',
} as const;

/**
 * Kills builds of an image at random moments, `times` times, each on a cache that the killed ones before it left. After each,
 * no process or mount may be left; the next build must succeed, give what an undisturbed build gives, and leave nothing.
 */
export async function killAtRandom(bench: ImageBench, times: number): Promise<void> {
  const undisturbed = await bench.project(smallImage('killed'), smallImageFiles);
  const env = { XDG_CACHE_HOME: join(bench.directory, 'cache-undisturbed') };
  const started = performance.now();
  const first = await bench.run(undisturbed, ['build'], { env });
  expect(first.code, first.stderr).toBe(0);
  const longest = performance.now() - started;
  const wanted = await readFile(join(undisturbed, 'image.tar.zst'));

  const project = await bench.project(smallImage('killed'), smallImageFiles);
  for (let round = 0; round < times; round += 1) {
    const moment = Math.random() * longest;
    await killOnce(bench, project, moment);
    // Each other round goes on from what several killed builds left.
    if (round % 2 === 1) await recover(bench, project, { wanted, moment });
    // From the beginning again now and then, so that all steps have their turn.
    if (round % 4 === 3) await bench.run(project, ['cache', 'prune', '--all']);
  }
}

async function killOnce(bench: ImageBench, project: HostPath, moment: number): Promise<void> {
  const running = await bench.start(project, ['build', '-f']);
  await Promise.race([sleep(moment), running.ended]);
  killIfRunning(running);
  await running.ended;
  await until(async () => (await processesOf(bench.directory)).length === 0);
  const left = await bench.leftovers();
  expect(left.filter((what) => what.startsWith('mount'))).toEqual([]);
}

/** A build may end at the very moment at which it is to be killed. */
function killIfRunning(running: RunningMkimg): void {
  try {
    running.kill('SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

async function recover(
  bench: ImageBench,
  project: HostPath,
  { wanted, moment }: { readonly wanted: Buffer; readonly moment: number },
): Promise<void> {
  const told = `killed after ${Math.round(moment)} ms`;
  const again = await bench.run(project, ['build']);
  expect(again.code, `${told}\n${again.stderr}`).toBe(0);
  expect((await readFile(join(project, 'image.tar.zst'))).equals(wanted), told).toBe(true);
  expect(await bench.leftovers(), told).toEqual([]);
  const verified = await bench.run(project, ['cache', 'verify']);
  expect(verified.code, `${told}\n${verified.stdout}${verified.stderr}`).toBe(0);
}
