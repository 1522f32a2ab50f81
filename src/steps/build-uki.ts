import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import pLimit from 'p-limit';
import type { HostPath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { allOf } from '../base/concurrency.ts';
import { MkimgError } from '../base/errors.ts';
import { exists } from '../base/files.ts';
import { openSource } from '../formats/bytes.ts';
import { readPe, systemdVersionOf } from '../formats/pe.ts';
import type { ToolsRoot } from '../sandbox/types.ts';
import { treeAt } from '../sandbox/tree.ts';
import { efiName } from './disk/boot-files.ts';
import type { BuildContext, FileStep } from './implementation.ts';
import { buildroot } from './script-environment.ts';

const initrdSuffix = '.initrd';

/** One unified kernel image for each initrd, from the kernel of the same version in the tree. */
export const buildUki: FileStep<'build-uki'> = {
  output: 'files',
  version: 2,
  memory: 384 << 20,
  tools: [{ tool: 'ukify', minimum: '254', reason: 'to build unified kernel images' }],
  async run(inputs, target, context) {
    const { root } = inputs.tree;
    const efi = efiName(inputs.architecture);
    const stub = await findStub(root, efi, context.sandbox.tools);
    await mkdir(target);
    await writeFile(join(context.work, 'cmdline'), inputs.commandLine.join(' '));
    await writeFile(join(context.work, 'os-release'), await readOsRelease(root));
    const limit = pLimit(context.jobs);
    const { directory, names } = inputs.initrds;
    const initrds = names.filter((name) => name.endsWith(initrdSuffix));
    const places = { root, target, initrds: directory, stub, efi, epoch: inputs.epoch };
    await allOf(initrds.map((name) => () => limit(() => buildOne(name, places, context))));
    return undefined;
  },
};

interface Places {
  readonly root: HostPath;
  readonly target: HostPath;
  readonly initrds: HostPath;
  /** Path inside the sandbox. */
  readonly stub: string;
  readonly efi: string;
  readonly epoch: number;
}

async function buildOne(initrd: string, places: Places, context: BuildContext): Promise<void> {
  const version = initrd.slice(0, -initrdSuffix.length);
  await context.sandbox.run({
    tool: 'ukify',
    argv: ukifyArgv({
      linux: await findKernel(places.root, version),
      initrd: join('/initrds', initrd),
      commandLineFile: '/work/cmdline',
      osReleaseFile: '/work/os-release',
      version,
      stub: places.stub,
      efi: places.efi,
      output: `/out/${version}.efi`,
    }),
    mounts: [
      { source: places.root, target: buildroot, mode: 'ro' },
      { source: places.initrds, target: '/initrds', mode: 'ro' },
      { source: context.work, target: '/work', mode: 'ro' },
      { source: places.target, target: '/out', mode: 'rw' },
    ],
    env: { SOURCE_DATE_EPOCH: String(places.epoch), TZ: 'UTC' },
    purpose: `building the unified kernel image of ${version}`,
  });
}

/** What goes into a unified kernel image. Paths are paths inside the sandbox. */
export interface UkiRequest {
  readonly linux: string;
  readonly initrd: string;
  readonly commandLineFile: string;
  readonly osReleaseFile: string;
  /** The kernel's release, `uname -r`. */
  readonly version: string;
  readonly stub: string;
  /** EFI's name of the architecture. */
  readonly efi: string;
  readonly output: string;
}

/** ukify without the configuration files of the tools' own system. */
export function ukifyArgv(request: UkiRequest): string[] {
  return [
    'build',
    '--config=/dev/null',
    `--linux=${request.linux}`,
    `--initrd=${request.initrd}`,
    `--cmdline=@${request.commandLineFile}`,
    `--os-release=@${request.osReleaseFile}`,
    `--uname=${request.version}`,
    `--stub=${request.stub}`,
    `--efi-arch=${request.efi}`,
    `--output=${request.output}`,
  ];
}

/** A file of the tree as a path inside the sandbox, without symbolic links on the way; undefined when it is not there. */
async function insideSandbox(root: HostPath, path: string): Promise<string | undefined> {
  const tree = treeAt(root);
  if (!(await tree.exists(treePath(path)))) return undefined;
  return join(buildroot, relative(root, await tree.resolve(treePath(path))));
}

async function findKernel(root: HostPath, version: string): Promise<string> {
  const path = `usr/lib/modules/${version}/vmlinuz`;
  const found = await insideSandbox(root, path);
  if (found !== undefined) return found;
  throw new MkimgError(
    'kernel-missing',
    `There is an initrd for kernel ${version}, but the image has no /${path}.`,
    {
      hint: 'Look whether a script or RemoveFiles= removes it.',
    },
  );
}

/**
 * Stubs before 254 check that sections do not overlap by rules that ukify no longer follows ("Overlapping PE sections
 * detected", and no boot; seen with Debian 12's 252).
 */
const firstUsableStub = 254;

/** The image's own stub fits its systemd; where it is too old or missing, that of the tools. */
async function findStub(root: HostPath, efi: string, tools: ToolsRoot): Promise<string> {
  const path = `usr/lib/systemd/boot/efi/linux${efi}.efi.stub`;
  const own = await insideSandbox(root, path);
  if (own !== undefined && (await isUsable(root, path))) return own;
  const toolsPrefix = tools.kind === 'host' ? hostPath('/') : tools.path;
  if (await exists(join(toolsPrefix, path))) return `/${path}`;
  if (own !== undefined) return own;
  throw new MkimgError(
    'stub-missing',
    `Neither the image nor the tools have /${path}, which unified kernel images begin with.`,
    {
      hint: 'Add the package systemd-boot-efi (Debian, Ubuntu) or systemd-boot to Packages=.',
    },
  );
}

async function isUsable(root: HostPath, path: string): Promise<boolean> {
  using source = openSource(await treeAt(root).resolve(treePath(path)));
  const image = readPe(source);
  const version = image === undefined ? undefined : systemdVersionOf(source, image);
  return version === undefined || Number.parseInt(version, 10) >= firstUsableStub;
}

async function readOsRelease(root: HostPath): Promise<string> {
  const tree = treeAt(root);
  const text =
    (await tree.readText(treePath('usr/lib/os-release'))) ??
    (await tree.readText(treePath('etc/os-release')));
  if (text !== undefined) return text;
  throw new MkimgError('not-a-system', 'The image has neither /usr/lib/os-release nor /etc/os-release.', {
    hint: 'An image that boots needs a base system; check Packages=.',
  });
}
