/** A password goes into the image, hashed, and nowhere else. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench } from '../helpers/image-bench.ts';

// In two parts, so that this file itself cannot be what is found.
const password = ['correct horse', 'battery staple 7361'].join(' ');
const settings =
  '[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\n[Content]\nPackages=more\nPostInstallationScripts=look.sh\n';

let bench: ImageBench;
let project: HostPath;

beforeAll(async () => {
  bench = await imageBench();
  project = await bench.project(settings, {
    'mkimg.rootpw': `${password}\n`,
    'look.sh': '#!/bin/sh\nenv > "$BUILDROOT/env"\ncat "$MKOSI_CONFIG" > "$BUILDROOT/config"\n',
  });
  await chmod(join(project, 'mkimg.rootpw'), 0o600);
});
afterAll(() => bench[Symbol.asyncDispose]());

/** Command lines and environments of all processes, as other users of the machine may see them. */
function visible(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8');
      } catch {
        return '';
      }
    })
    .join('\n');
}

it('is in no command line, event, summary, record or script environment', async () => {
  const running = await bench.start(project, ['--debug', 'build']);
  let ended = false;
  void running.ended.then(() => (ended = true));
  let samples = 0;
  while (!ended) {
    samples += 1;
    expect(visible().includes(password)).toBe(false);
    await sleep(2);
  }
  expect(samples).toBeGreaterThan(20);
  const result = await running.ended;
  expect(result.code, result.stderr).toBe(0);
  expect(result.events.some(({ type }) => type === 'command')).toBe(true);
  expect(JSON.stringify(result.events)).not.toContain(password);
  expect(result.stderr + result.stdout).not.toContain(password);
  for (const argv of [['summary'], ['summary', '--json'], ['plan', '--json'], ['cache', '--json']]) {
    const { stdout, stderr, code } = await bench.run(project, argv);
    expect(code, stderr).toBe(0);
    expect(stdout + stderr).not.toContain(password);
  }
  const cached = spawnSync('grep', [
    '--recursive',
    '--files-with-matches',
    '--fixed-strings',
    password,
    bench.cache,
  ]);
  expect(String(cached.stdout)).toBe('');
});

it('is in the image as a hash, which other images of other passwords do not share', async () => {
  const member = (name: string): string =>
    execFileSync('tar', ['--extract', '--to-stdout', `--file=${project}/image.tar.zst`, `./${name}`], {
      encoding: 'utf8',
    });
  expect(member('etc/shadow')).toMatch(/^root:\$(?:6|y)\$/m);
  expect(member('env') + member('config')).not.toContain(password);
  expect(member('config')).toContain('"RootPassword"');
  const changed = await bench.run(project, ['--root-password=another one', 'build']);
  expect(changed.code).toBe(0);
  expect(changed.events).toContainEqual(expect.objectContaining({ type: 'artifact', state: 'built' }));
});
