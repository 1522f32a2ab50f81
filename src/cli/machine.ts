import { tmpdir } from 'node:os';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { buildable } from '../config/buildable.ts';
import type { BuildableConfig, Project, ResolvedImage } from '../config/project.ts';
import type { BootSource } from '../qemu/image.ts';
import { findBootSource } from '../qemu/image.ts';
import { diskForCommandLine } from '../qemu/machine-request.ts';
import { machineFor } from '../qemu/machines/index.ts';
import type { Machine } from '../qemu/machines/machine.ts';
import { chooseMachineTools } from '../qemu/tools.ts';
import type { VmHost } from '../qemu/vm.ts';
import type { ToolsRoot } from '../sandbox/types.ts';
import { settingRows } from '../config/settings/table.ts';
import { selectImage } from './session/images.ts';
import { checkValues, readProject } from './session/project.ts';
import { withBuildHistory } from './session/remembered-build.ts';
import type { VerbContext } from './verb.ts';

/** What the verbs that run machines need from those that build. */
export interface RuntimeHooks {
  /** The tools tree with QEMU, firmware and what belongs to them; made when it is not there. */
  vmTools(context: VerbContext, main: ResolvedImage): Promise<ToolsRoot>;
  /** For `-f`: builds the image; returns the exit code. */
  build(context: VerbContext): Promise<number>;
  /** Where the KVM verdict is kept. */
  stateDirectory(main: ResolvedImage): HostPath;
  /** For images that are trees: runs mkimg again where their files' owners are its own; undefined when it is there. */
  reenter(context: VerbContext): Promise<number | undefined>;
}

/** An image that was found built, and the host's part of its machine. */
export interface ImageMachine {
  readonly image: ResolvedImage;
  /** The image's. */
  readonly config: BuildableConfig;
  readonly machine: Machine;
  readonly source: BootSource;
  readonly host: VmHost;
  /** Where the KVM verdict is kept. */
  readonly stateDirectory: HostPath;
}

/**
 * What verbs that run the image's machine begin with: builds it for `-f`, and finds it, its machine and the tools.
 * @returns what `use` returns, or the exit code of the build or of the mkimg that ran in its place
 * @throws MkimgError `not-built`, `no-machine` and others
 */
export async function withMachine(
  context: VerbContext,
  hooks: RuntimeHooks,
  use: (prepared: ImageMachine) => Promise<number>,
): Promise<number> {
  return withBuiltProject(context, hooks, {
    use: async ({ image, prepare }) => use(await prepare(image)),
  });
}

/** A project whose images were built, as far as a verb knows. */
export interface BuiltProject {
  readonly project: Project;
  /** The one that `--image` names. */
  readonly image: ResolvedImage;
  /** Finds what runs an image of the project. @throws MkimgError `not-built`, `no-machine` and others */
  readonly prepare: (image: ResolvedImage) => Promise<ImageMachine>;
}

/** As `withMachine`, for verbs that run several machines, or read the tests of the project. */
export async function withBuiltProject(
  context: VerbContext,
  hooks: RuntimeHooks,
  {
    readsTests = false,
    use,
  }: { readonly readsTests?: boolean; readonly use: (built: BuiltProject) => Promise<number> },
): Promise<number> {
  if (context.options.force > 0) {
    // Words after `--` are QEMU's here, not the build scripts', and those before it are not the build's either.
    const exitCode = await hooks.build({ ...context, words: [], rest: [] });
    if (exitCode !== 0) return exitCode;
  }
  const built = context.options.force > 0 ? context : await withBuildHistory(context);
  const project = await readProject(built, { readsTests });
  const image = selectImage(project, context);
  if (image.config.Format === 'directory') {
    const exitCode = await hooks.reenter(context);
    if (exitCode !== undefined) return exitCode;
  }
  return use({
    project,
    image,
    prepare: (wanted) => prepareMachine(runnable(wanted, project.main), context, hooks),
  });
}

/** How a machine is to be is a matter of the main image, unless another image says so itself. */
export function runnable(image: ResolvedImage, main: ResolvedImage): ResolvedImage {
  const taken = settingRows
    .filter(({ section, name }) => section === 'Runtime' && image.isDefault(name))
    .map(({ name }) => [name, main.config[name]] as const);
  return image === main ? image : { ...image, config: { ...image.config, ...Object.fromEntries(taken) } };
}

async function prepareMachine(
  image: ResolvedImage,
  context: VerbContext,
  hooks: RuntimeHooks,
): Promise<ImageMachine> {
  checkValues(image, 'run');
  const config = buildable(image.config);
  const machine = machineFor(config.Architecture);
  const source = await findBootSource(config, image.originOf('Format'));
  noteLostWords({ config, machine, source, ephemeral: true }, context);
  const tools = await chooseMachineTools(config.ToolsTree, { machine, source }, () =>
    hooks.vmTools(context, image),
  );
  const host = { tools, events: context.events, scratch: scratchDirectory() };
  return { image, config, machine, source, host, stateDirectory: hooks.stateDirectory(image) };
}

/** Says so where nothing adds to the command line that a disk boots with. */
export function noteLostWords(
  { config, ...boot }: Pick<ImageMachine, 'config' | 'machine' | 'source'> & { readonly ephemeral: boolean },
  { events }: VerbContext,
): void {
  const { machine, source } = boot;
  if (config.KernelCommandLineExtra.length === 0 || machine.channels.smbios !== 'never') return;
  if (source.kernel !== undefined || diskForCommandLine(boot) !== undefined) return;
  events.emit({
    type: 'note',
    level: 'warning',
    code: 'command-line-ignored',
    message: `KernelCommandLineExtra= has no effect on this disk for ${config.Architecture}: nothing adds to the command line that it boots with`,
    hint: 'Start a copy with Ephemeral=yes or the kernel directly with Firmware=linux, or use KernelCommandLine= of the image.',
  });
}

/** $TMPDIR where it is set, else /var/tmp: temporary disks are too large for a /tmp in memory. */
function scratchDirectory(): HostPath {
  return hostPath(process.env['TMPDIR'] === undefined ? '/var/tmp' : tmpdir());
}
