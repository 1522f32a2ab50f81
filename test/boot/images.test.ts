import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { mkimg } from '../helpers/cli.ts';
import { project } from '../helpers/project.ts';

const images = resolve(import.meta.dirname, '../../images');

interface BootReport {
  readonly passed: boolean;
  readonly slowestUnits: readonly unknown[];
  readonly memory: { readonly available: number };
  readonly failedUnits: readonly unknown[];
  readonly phases: Readonly<Record<string, number>>;
}

interface TestsReport {
  readonly passed: boolean;
  readonly tests: readonly { readonly boots: readonly BootReport[] }[];
}

/** Builds an image of images/ into a directory of its own and boots it. */
async function buildAndBoot(image: string, flags: readonly string[]): Promise<BootReport> {
  await using output = await temporaryDirectory('/var/tmp', 'mkimg-boot-');
  const argv = ['-C', join(images, image), '--output-directory', output.path, ...flags];
  const built = await mkimg([...argv, 'build']);
  expect(built.code, built.stderr).toBe(0);
  const booted = await mkimg([...argv, '--json', 'test']);
  expect(booted.code, booted.stdout + booted.stderr).toBe(0);
  const report = JSON.parse(booted.stdout) as BootReport | TestsReport;
  expect(report.passed).toBe(true);
  // Images with tests of their own are booted by these.
  const boot = 'tests' in report ? report.tests[0]?.boots[0] : report;
  if (boot === undefined) throw new Error('no boot in the report');
  expect(boot.failedUnits).toEqual([]);
  expect(boot.slowestUnits.length).toBeGreaterThan(5);
  expect(boot.memory.available).toBeGreaterThan(0);
  return boot;
}

describe('images boot until they are up', () => {
  // Nothing says where the root is: the default initrd finds it by the type of its partition.
  it('debian: disk by UEFI, systemd-boot and a unified kernel image, without root=', async () => {
    const { phases } = await buildAndBoot('debian', []);
    expect(phases['userspace']).toBeGreaterThan(0);
  });

  it('minimal: the whole system as the initrd of a unified kernel image', async () => {
    await buildAndBoot('minimal', ['--format=uki', '--ram=2G']);
  });
});

describe('an image that does not come up', () => {
  it('fails its test, which names the unit, shows the console, and keeps what tells why', async () => {
    const unit = '[Unit]\nDescription=Fails on purpose\n[Service]\nType=oneshot\nExecStart=/bin/false\n';
    await using directory = await project({
      'mkimg.conf': `[Include]\nInclude=${join(images, 'minimal')}\n`,
      'mkimg.extra/usr/lib/systemd/system/broken.service': `${unit}[Install]\nWantedBy=multi-user.target\n`,
      'mkimg.tests/comes-up.conf': '[Step]\nBoot=up\n[Step]\nCommand=true\n',
      'mkimg.tests/elsewhere.conf': '[Match]\nArchitecture=s390x\n',
    });
    const argv = ['-C', directory.path, '--output-directory', directory.path];
    const built = await mkimg([...argv, 'build']);
    expect(built.code, built.stderr).toBe(0);
    const junit = join(directory.path, 'junit.xml');
    const booted = await mkimg([...argv, '--junit', junit, 'test']);
    expect(booted.code).toBe(1);
    expect(booted.stdout).toContain('comes-up: FAILED: failed unit: broken.service');
    const result = (name: string): Promise<string> =>
      readFile(join(directory.path, 'test-results/comes-up', name), 'utf8');
    expect(JSON.parse(await result('report.json'))).toMatchObject({
      passed: false,
      verdict: { reason: 'units-failed' },
      steps: [{ step: 'Boot=up', passed: false }],
      boots: [{ failedUnits: [{ unit: 'broken.service' }] }],
    });
    expect(await result('console.log')).toContain('Fails on purpose');
    expect(await result('units.log')).toMatch(/broken\.service/);
    expect(await result('journal.log')).toMatch(/systemd\[1\]: Failed to start broken\.service/);
    expect(await result('qemu-command')).toMatch(/^qemu-system-x86_64 /);
    expect(await result('timeline.svg')).toContain('systemd-journald.service');
    expect(await readFile(junit, 'utf8')).toMatch(/tests="2" failures="1" errors="0" skipped="1"/);
  });
});
