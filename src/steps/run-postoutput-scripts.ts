import { cp, mkdir, readdir, symlink } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Opened } from '../plan/step.ts';
import type { StepInputs } from '../plan/vocabulary.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { scriptTools } from './script-helpers.ts';
import { runScripts } from './scripts.ts';

type Output = Opened<StepInputs['run-postoutput-scripts']>['outputs'][number];

/** Puts copies of all outputs into one directory, as they will be called, and lets post-output scripts change it. */
export const runPostoutputScripts: TreeStep<'run-postoutput-scripts'> = {
  output: 'tree',
  fresh: true,
  version: 1,
  tools: [...scriptTools, { tool: 'cp', reason: 'to copy outputs' }],
  async run(inputs, root, context) {
    for (const output of inputs.outputs) await layOut(output, root, context);
    await runScripts({ settings: inputs, output: root }, context);
  },
};

async function layOut(
  { name, link, from, spread }: Output,
  root: HostPath,
  context: BuildContext,
): Promise<void> {
  const target = join(root, name);
  if ('root' in from) await copyTree(from.root, target, context);
  else if ('names' in from) {
    for (const file of from.names) await copyFile(join(from.directory, file), `${target}.${file}`);
  } else if ('directory' in from) {
    if (spread === true) await copyAll(join(from.directory, 'output'), root);
  } else await copyFile(from.path, target);
  if (link !== undefined) await symlink(name, join(root, link));
}

async function copyFile(source: string, target: string): Promise<void> {
  await cp(source, target, { mode: constants.COPYFILE_FICLONE });
}

async function copyAll(source: string, root: HostPath): Promise<void> {
  for (const name of await readdir(source)) {
    await cp(join(source, name), join(root, name), { recursive: true, verbatimSymlinks: true });
  }
}

/** With owners and all else that belongs to a tree. */
async function copyTree(source: HostPath, target: string, { sandbox }: BuildContext): Promise<void> {
  await mkdir(target);
  await sandbox.run({
    tool: 'cp',
    argv: ['--archive', '--reflink=auto', '--no-target-directory', '--', '/source', '/target'],
    mounts: [
      { source, target: '/source', mode: 'ro' },
      { source: hostPath(target), target: '/target', mode: 'dev' },
    ],
    purpose: 'copying the tree to the directory of outputs',
  });
}
