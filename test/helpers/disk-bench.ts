import { cp, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { Sandbox, ToolsRoot } from '../../src/sandbox/types.ts';
import type { BuildContext } from '../../src/steps/implementation.ts';
import { writeFiles } from './project.ts';
import type { StepBench } from './step-bench.ts';
import { stepBench } from './step-bench.ts';
import { buildTools } from './tools.ts';

/** A bench with tools for images, and a tree small enough to be packed in no time. */
export interface DiskBench extends StepBench {
  readonly tools: ToolsRoot;
  readonly sandbox: Sandbox;
  /** A context with an empty work directory of its own, as the engine gives each run of a step. */
  newContext(): Promise<BuildContext>;
  /** Runs a tool that sees the bench's directory at /bench, and returns what it prints. */
  inspect(tool: string, ...argv: readonly string[]): Promise<string>;
}

const efiDirectory = 'usr/lib/systemd/boot/efi';
export const kernelVersion = '6.1.0-test';

export async function diskBench(): Promise<DiskBench> {
  const tools = await buildTools();
  const bench = await stepBench(tools);
  const { sandbox } = bench.context;
  await fillTree(bench.root, tools);
  let works = 0;
  return {
    ...bench,
    tools,
    sandbox,
    newContext: async () => {
      works += 1;
      const work = hostPath(join(bench.directory, `work-${works}`));
      await mkdir(work);
      return { ...bench.context, sandbox, work };
    },
    inspect: async (tool, ...argv) => {
      const { stdout } = await sandbox.run({
        tool,
        argv,
        mounts: [{ source: bench.directory, target: '/bench', mode: 'rw' }],
        env: { MTOOLSRC: '/dev/null' },
        stdout: 'capture',
        purpose: 'looking at the result',
      });
      return stdout;
    },
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

/** Path of a file of the tools, seen from outside. */
export function toolsFile(tools: ToolsRoot, path: string): string {
  return join(tools.kind === 'host' ? '/' : tools.path, path);
}

/** A tree that has all that boot steps look for; its kernel is a real PE, but systemd-boot. */
async function fillTree(root: HostPath, tools: ToolsRoot): Promise<void> {
  await writeFiles(root, {
    'usr/lib/os-release': 'ID=testos\nPRETTY_NAME="Test OS"\n',
    'etc/hostname': 'test\n',
    'tmp/left-over': 'x',
    'boot/config-6.1.0-test': 'CONFIG_X=y\n',
  });
  for (const name of ['linuxx64.efi.stub', 'systemd-bootx64.efi']) {
    await copyFile(toolsFile(tools, `${efiDirectory}/${name}`), join(root, efiDirectory, name));
  }
  const loader = toolsFile(tools, `${efiDirectory}/systemd-bootx64.efi`);
  await copyFile(loader, join(root, `usr/lib/modules/${kernelVersion}/vmlinuz`));
}

async function copyFile(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { dereference: true });
}
