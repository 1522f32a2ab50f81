import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { mkimg } from '../helpers/cli.ts';
import { project } from '../helpers/project.ts';

const images = resolve(import.meta.dirname, '../../images');

interface BootReport {
  readonly passed: boolean;
  readonly failedUnits: readonly unknown[];
  readonly phases: Readonly<Record<string, number>>;
}

/** Builds an image of images/ into a directory of its own and boots it. */
async function buildAndBoot(image: string, flags: readonly string[]): Promise<BootReport> {
  await using output = await temporaryDirectory('/var/tmp', 'mkimg-boot-');
  const argv = ['-C', join(images, image), '--output-directory', output.path, ...flags];
  const built = await mkimg([...argv, 'build']);
  expect(built.code, built.stderr).toBe(0);
  const booted = await mkimg([...argv, '--json', 'test']);
  const report = JSON.parse(booted.stdout) as BootReport;
  expect(report, booted.stderr).toMatchObject({ passed: true, failedUnits: [] });
  expect(booted.code).toBe(0);
  return report;
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
  it('fails the test, which names the unit and shows the console', async () => {
    const unit = '[Unit]\nDescription=Fails on purpose\n[Service]\nType=oneshot\nExecStart=/bin/false\n';
    await using directory = await project({
      'mkimg.conf': `[Include]\nInclude=${join(images, 'minimal')}\n`,
      'mkimg.extra/usr/lib/systemd/system/broken.service': `${unit}[Install]\nWantedBy=multi-user.target\n`,
    });
    const argv = ['-C', directory.path, '--output-directory', directory.path];
    const built = await mkimg([...argv, 'build']);
    expect(built.code, built.stderr).toBe(0);
    const booted = await mkimg([...argv, 'test']);
    expect(booted.code).toBe(1);
    expect(booted.stdout + booted.stderr).toContain('broken.service');
    const results = join(directory.path, 'test-results/minimal');
    const report = JSON.parse(await readFile(join(results, 'report.json'), 'utf8')) as BootReport;
    expect(report).toMatchObject({ passed: false, failedUnits: [{ unit: 'broken.service' }] });
    expect(await readFile(join(results, 'console.log'), 'utf8')).toContain('Fails on purpose');
  });
});
