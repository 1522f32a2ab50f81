import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { mkimg } from '../helpers/cli.ts';

const minimal = resolve(import.meta.dirname, '../../images/minimal');

/** Mirrors may serve the release files of moving suites past their Valid-Until. */
const expired = '--check-valid-until=no';

const variants: readonly (readonly [string, readonly string[]])[] = [
  ['a cpio archive beside its kernel', ['--format=cpio', '--ram=2G']],
  ['a directory', ['--format=directory']],
  ['a disk without a boot loader', ['--bootloader=uki']],
  ['a disk of bookworm, whose systemd knows no extra units', ['--release=bookworm']],
  ['a disk of forky', ['--release=forky', expired]],
  ['a disk of sid', ['--release=sid', expired]],
];

describe('images/minimal boots as', () => {
  for (const [name, flags] of variants) {
    it(name, async () => {
      await using output = await temporaryDirectory('/var/tmp', 'mkimg-boot-');
      const argv = ['-C', minimal, '--output-directory', output.path, ...flags];
      const built = await mkimg([...argv, 'build']);
      expect(built.code, built.stderr).toBe(0);
      const booted = await mkimg([...argv, 'test']);
      expect(booted.code, booted.stdout + booted.stderr).toBe(0);
    });
  }
});

describe('a newcomer', () => {
  it('boots what mkimg init describes', async () => {
    await using directory = await temporaryDirectory('/var/tmp', 'mkimg-boot-');
    for (const verb of ['init', 'build', 'test']) {
      const done = await mkimg(['-C', directory.path, verb]);
      expect(done.code, done.stdout + done.stderr).toBe(0);
    }
  });
});
