import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { silentEvents } from '../../../src/base/events.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { nativeArchitecture } from '../../../src/distro/architectures/index.ts';
import { initVerb, starterConfiguration } from '../../../src/cli/init.ts';
import { loadProject } from '../../../src/config/project.ts';

async function init(directory: HostPath): Promise<number> {
  return await initVerb.run({
    ...{
      assignments: [],
      words: [],
      rest: [],
      events: silentEvents,
      signal: new AbortController().signal,
      insist: new AbortController().signal,
    },
    options: { directory, force: 0, json: false, debug: false, extra: {} },
    print: () => undefined,
  });
}

test('init writes a configuration without faults, once', async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-init-');
  expect(await init(directory.path)).toBe(0);
  expect(await readFile(join(directory.path, 'mkimg.conf'), 'utf8')).toBe(
    starterConfiguration(nativeArchitecture()),
  );
  const loaded = await loadProject({ directory: directory.path, assignments: [], environment: {} });
  expect(loaded).toMatchObject({ ok: true, warnings: [] });
  await expect(init(directory.path)).rejects.toMatchObject({ code: 'already-there', class: 'usage' });
});

test("init leaves a directory with mkosi's configuration alone", async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-init-');
  await writeFile(join(directory.path, 'mkosi.conf'), '');
  await expect(init(directory.path)).rejects.toMatchObject({ code: 'already-there' });
});
