import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import type { ToolsRoot } from '../sandbox/types.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { BuildContext, FileStep } from './implementation.ts';
import { buildroot } from './script-environment.ts';

/** What GRUB must know to find its configuration and to boot a kernel, beside the drivers of the platform's disks. */
const commonModules = [
  ...['part_gpt', 'part_msdos', 'fat', 'ext2'],
  ...['search', 'search_fs_file', 'normal', 'configfile', 'test', 'echo', 'linux', 'boot', 'minicmd'],
];

const platforms = {
  'i386-pc': { modules: ['biosdisk'], package: 'grub-pc-bin' },
  'powerpc-ieee1275': { modules: [], package: 'grub-ieee1275-bin' },
} as const;

/**
 * What the core image does first. The disk that it was started from comes first, so that another with the same files does not
 * count.
 */
const earlyConfiguration = `search --no-floppy --set=root --hint "\${root}," --file /grub/grub.cfg
set prefix=($root)/grub
normal
`;

/** GRUB's images for a platform, from the files of its package: core.img, and for PC BIOS boot.img. */
export const buildGrub: FileStep<'build-grub'> = {
  output: 'files',
  version: 1,
  tools: [{ tool: 'grub-mkimage', minimum: '2.06', reason: "to make GRUB's core image" }],
  async run({ tree, platform }, target, context) {
    const files = await findGrub(tree.root, platform, context.sandbox.tools);
    await mkdir(target);
    await writeFile(join(context.work, 'early.cfg'), earlyConfiguration);
    await makeCore({ directory: files.directory, platform, target }, tree.root, context);
    if (platform === 'i386-pc') await copyFile(await files.find('boot.img'), join(target, 'boot.img'));
    return undefined;
  },
};

interface Core {
  /** GRUB's files, as a path inside the sandbox. */
  readonly directory: string;
  readonly platform: keyof typeof platforms;
  readonly target: HostPath;
}

async function makeCore(core: Core, root: HostPath, context: BuildContext): Promise<void> {
  await context.sandbox.run({
    tool: 'grub-mkimage',
    argv: coreArgv(core.platform, core.directory),
    mounts: [
      { source: root, target: buildroot, mode: 'ro' },
      { source: context.work, target: '/work', mode: 'ro' },
      { source: core.target, target: '/out', mode: 'rw' },
    ],
    purpose: "making GRUB's core image",
  });
}

/** grub-mkimage for a core image that needs no module later. */
export function coreArgv(platform: keyof typeof platforms, directory: string): string[] {
  return [
    ...['-O', platform, '-d', directory],
    ...['-c', '/work/early.cfg', '-p', '/grub', '-o', '/out/core.img'],
    ...platforms[platform].modules,
    ...commonModules,
  ];
}

interface GrubFiles {
  /** As a path inside the sandbox. */
  readonly directory: string;
  /** One of the files, on the host. */
  find(name: string): Promise<HostPath>;
}

/** The image's own files of GRUB, else those of the tools. @throws MkimgError `boot-loader-missing` */
async function findGrub(
  root: HostPath,
  platform: keyof typeof platforms,
  tools: ToolsRoot,
): Promise<GrubFiles> {
  const path = `usr/lib/grub/${platform}`;
  const ofTools = hostPath(tools.kind === 'host' ? '/' : tools.path);
  for (const [place, inside] of [
    [root, buildroot],
    [ofTools, '/'],
  ] as const) {
    const tree = treeAt(place);
    if (!(await tree.exists(treePath(`${path}/normal.mod`)))) continue;
    const directory = await tree.resolve(treePath(path));
    return {
      directory: join(inside, relative(place, directory)),
      find: (name) => tree.resolve(treePath(`${path}/${name}`)),
    };
  }
  throw new MkimgError(
    'boot-loader-missing',
    `Neither the image nor the tools have GRUB's files in /${path}.`,
    {
      hint: `Add ${platforms[platform].package} to Packages= (Debian, Ubuntu).`,
    },
  );
}
