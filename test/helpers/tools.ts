import { join } from 'node:path';
import { hostPath } from '../../src/base/brand.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { probeTools } from '../../src/sandbox/tools.ts';
import type { ToolNeed, ToolsRoot } from '../../src/sandbox/types.ts';

/** What the tests of output steps need, as those steps declare it. */
const needs: readonly ToolNeed[] = [
  { tool: 'systemd-repart', minimum: '254', reason: 'to build disk images' },
  { tool: 'ukify', minimum: '254', reason: 'to build unified kernel images' },
  { tool: 'mke2fs', minimum: '1.47.1', reason: 'to make the root file system' },
  { tool: 'mcopy', reason: 'to fill the EFI system partition' },
];

/**
 * Tools that can build every kind of output: the tree that MKIMG_TEST_TOOLS names, or the host's where they are new
 * enough.
 * @throws Error when there are none.
 */
export async function buildTools(): Promise<ToolsRoot> {
  const path = process.env['MKIMG_TEST_TOOLS'];
  if (path !== undefined) return { kind: 'tree', path: hostPath(path) };
  await using directory = await temporaryDirectory('/tmp', 'mkimg-tools-');
  const { missing } = await probeTools(needs, { kind: 'host' }, hostPath(join(directory.path, 'versions')));
  if (missing.length === 0) return { kind: 'host' };
  const names = missing.map(({ need }) => need.tool).join(', ');
  throw new Error(`The host has no usable ${names}; set MKIMG_TEST_TOOLS to a tools tree.`);
}
