import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { exists } from '../../base/files.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { buildable } from '../../config/buildable.ts';
import type { BuildableConfig, ResolvedImage } from '../../config/project.ts';
import type { ContainerOptions } from '../../qemu/container.ts';
import { containerArgv, writeCredentialFiles } from '../../qemu/container.ts';
import { mainOutput } from '../../qemu/image.ts';
import { readCredentials } from '../../qemu/machine-request.ts';
import { sharedTrees } from '../../qemu/runtime-options.ts';
import { findOnPath } from '../../sandbox/lookup.ts';
import { callerUid } from '../../sandbox/namespace.ts';
import { runAttached } from '../../sandbox/process.ts';
import type { RuntimeHooks } from '../machine.ts';
import { runnable, withBuiltProject } from '../machine.ts';
import { imageOption } from '../session/images.ts';
import { checkValues } from '../session/project.ts';
import { configurationPrograms } from '../session/programs.ts';
import type { Verb, VerbContext } from '../verb.ts';
import { machineNameOf } from './names.ts';

const needs = `It needs root, because systemd-nspawn does, and the images Format=directory or Format=disk. \`mkimg qemu\` runs the
same image without root.`;

/** `mkimg shell`: a command in the image. */
export function shellVerb(hooks: RuntimeHooks): Verb {
  return {
    name: 'shell',
    summary: 'Run a shell or a command in the image, in a container',
    doc: `Runs a shell in the image by systemd-nspawn, or the words that follow; those that begin with a dash stand after \`--\`. What
it changes stays in the image unless Ephemeral=yes. ${needs}`,
    words: { usage: '[COMMAND...]', choices: [] },
    answers: true,
    options: [imageOption],
    run: (context) => runContainer(context, hooks, false),
  };
}

/** `mkimg boot`: the image's init in a container. */
export function bootVerb(hooks: RuntimeHooks): Verb {
  return {
    name: 'boot',
    summary: 'Boot the image in a container',
    doc: `Starts the image's init by systemd-nspawn, with the words after \`--\` as its arguments; Ctrl-] three times within a second
ends the container. ${needs}`,
    answers: true,
    options: [imageOption],
    run: (context) => runContainer(context, hooks, true),
  };
}

async function runContainer(context: VerbContext, hooks: RuntimeHooks, boots: boolean): Promise<number> {
  if (callerUid() !== 0) {
    throw new MkimgError('needs-root', 'containers of systemd-nspawn need root', {
      hint: '`mkimg qemu` runs the image without, and `mkimg ssh` gives a shell in it.',
      class: 'usage',
    });
  }
  const program = await findOnPath('systemd-nspawn');
  if (program === undefined) {
    throw new MkimgError('tool-missing', 'Cannot find systemd-nspawn on this machine.', {
      hint: 'apt install systemd-container',
    });
  }
  return withBuiltProject(context, hooks, {
    use: ({ project, image }) => runProgramOn(runnable(image, project.main), { program, context, boots }),
  });
}

interface ContainerRun {
  /** systemd-nspawn. */
  readonly program: HostPath;
  readonly context: VerbContext;
  readonly boots: boolean;
}

async function runProgramOn(
  image: ResolvedImage,
  { program, context, boots }: ContainerRun,
): Promise<number> {
  checkValues(image, 'run');
  const config = buildable(image.config);
  await using directory = await temporaryDirectory('/tmp', 'mkimg-container-');
  const credentials = await readCredentials(
    {
      config,
      runProgram: configurationPrograms(context.events, context.signal),
      workingDirectory: context.options.directory,
    },
    [],
  );
  const argv = containerArgv({
    name: machineNameOf(config.Machine, image.name).replaceAll(/[._]+/g, '-'),
    image: await containerImage(config, image),
    boots,
    words: [...context.words, ...context.rest, ...(boots ? config.KernelCommandLineExtra : [])],
    isEphemeral: config.Ephemeral,
    network: config.RuntimeNetwork,
    shares: sharedTrees(config),
    credentials: await writeCredentialFiles(credentials, hostPath(directory.path)),
    isRegistered: config.Register !== false && (await exists('/run/systemd/system')),
    isPiped: !process.stdin.isTTY || !process.stdout.isTTY,
  });
  return await runAttached({ argv: [program, ...argv], env: process.env });
}

async function containerImage(
  config: BuildableConfig,
  image: ResolvedImage,
): Promise<ContainerOptions['image']> {
  const path = mainOutput(config);
  const isCompressedDisk = config.Format === 'disk' && config.CompressOutput !== 'none';
  if ((config.Format !== 'directory' && config.Format !== 'disk') || isCompressedDisk) {
    const what = isCompressedDisk ? 'a compressed disk' : `Format=${config.Format}`;
    throw new MkimgError('not-bootable', `${what} cannot be run in a container`, {
      hint: 'Use Format=directory, or Format=disk with CompressOutput=none.',
      class: 'usage',
      origin: image.originOf('Format'),
    });
  }
  if (!(await exists(path))) {
    throw new MkimgError('not-built', `the image has not been built yet: ${path} does not exist`, {
      hint: 'Build it with `mkimg build`, or build and run it at once with -f.',
    });
  }
  return config.Format === 'directory' ? { directory: path } : { disk: path };
}
