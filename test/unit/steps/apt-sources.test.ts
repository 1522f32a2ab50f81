import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { readTextIfExists } from '../../../src/base/files.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { aptSources } from '../../../src/steps/apt-sources.ts';
import { toolFreeContext } from './step-context.ts';

const file = 'etc/apt/sources.list.d/debian.sources';

async function write(root: HostPath, name: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true });
  await writeFile(join(root, name), text);
}

function installed(name: string): string {
  return `Package: ${name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n`;
}

test.each([
  { title: 'apt gets the sources', name: 'apt', before: undefined, after: 'Types: deb\n' },
  { title: 'an image without apt gets none', name: 'bash', before: undefined, after: undefined },
  { title: "the user's own stay", name: 'apt', before: 'mine\n', after: 'mine\n' },
])('$title', async ({ name, before, after }) => {
  await using root = await temporaryDirectory(tmpdir(), 'mkimg-sources-');
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-sources-');
  const { context } = await toolFreeContext(scratch.path);
  await write(root.path, 'var/lib/dpkg/status', installed(name));
  if (before !== undefined) await write(root.path, file, before);
  await aptSources.run({ base: { root: root.path }, text: 'Types: deb\n' }, root.path, context);
  expect(await readTextIfExists(join(root.path, file))).toBe(after);
  expect(await readFile(join(root.path, 'var/lib/dpkg/status'), 'utf8')).toBe(installed(name));
});
