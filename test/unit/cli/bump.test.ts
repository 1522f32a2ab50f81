import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { ConfigurationError } from '../../../src/base/errors.ts';
import { bumpedVersion, writeVersion } from '../../../src/cli/bump.ts';

const context = { events: { emit: () => undefined }, signal: new AbortController().signal };

describe('bump', () => {
  let directory: HostPath;

  beforeEach(async () => {
    directory = hostPath(await mkdtemp(join(tmpdir(), 'mkimg-bump-')));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  async function program(name: string, text: string): Promise<void> {
    await writeFile(join(directory, name), `#!/bin/sh\n${text}\n`);
    await chmod(join(directory, name), 0o755);
  }

  it('raises the version in the file', async () => {
    expect(await bumpedVersion(directory, context)).toBe('1');
    await writeVersion(directory, '1.9');
    expect(await bumpedVersion(directory, context)).toBe('1.10');
    expect(await readFile(join(directory, 'mkimg.version'), 'utf8')).toBe('1.9\n');
  });

  it('asks mkosi.bump in a project of mkosi', async () => {
    await writeFile(join(directory, 'mkosi.version'), '3');
    await program('mkosi.bump', 'echo $(cat mkosi.version).0');
    expect(await bumpedVersion(directory, context)).toBe('3.0');
    await program('mkosi.bump', 'echo broken >&2; exit 3');
    await expect(bumpedVersion(directory, context)).rejects.toThrow(ConfigurationError);
  });

  it('leaves a version alone that a program makes', async () => {
    await program('mkimg.version', 'echo 7');
    await expect(bumpedVersion(directory, context)).rejects.toThrow(ConfigurationError);
  });
});
