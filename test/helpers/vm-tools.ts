import { hostPath } from '../../src/base/brand.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';
import { findOnPath } from '../../src/sandbox/lookup.ts';
import type { ToolsRoot } from '../../src/sandbox/types.ts';
import { mkimg } from './cli.ts';
import { project } from './project.ts';

/**
 * Where tests of virtual machines find QEMU: in the tree that MKIMG_TEST_VM_TOOLS names, on the host, or in the tools tree
 * that mkimg makes.
 */
export async function vmTools(): Promise<ToolsRoot> {
  const path = process.env['MKIMG_TEST_VM_TOOLS'];
  if (path !== undefined) return { kind: 'tree', path: hostPath(path) };
  if ((await findOnPath(x86_64.program)) !== undefined) return { kind: 'host' };
  await using directory = await project({ 'mkimg.conf': '[Distribution]\nDistribution=debian\n' });
  const { code, stdout, stderr } = await mkimg(['-C', directory.path, 'tools', 'vm']);
  if (code !== 0) throw new Error(`mkimg tools vm: ${stderr}`);
  return { kind: 'tree', path: hostPath(stdout.trim()) };
}
