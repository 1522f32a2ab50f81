import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runProgram } from '../../src/sandbox/process.ts';
import { silentEvents } from '../../src/base/events.ts';
import { hostPath } from '../../src/base/brand.ts';
import { cacheDirectory } from '../../src/engine/layout.ts';
import { mkimg, mkimgProgram } from './cli.ts';

/** The plugin as it is installed. */
export const plugin = resolve(import.meta.dirname, '../../kernel-install.d/50-mkimg.install');

/** A Debian system in a directory, with a kernel and kernel-install(8). */
export interface System {
  readonly root: string;
  readonly kernelVersion: string;
  readonly kernel: string;
}

/** Builds a system; takes from the cache what is there. */
export async function buildSystem(directory: string): Promise<System> {
  const packages = [
    'linux-image-amd64',
    'systemd',
    'systemd-sysv',
    'udev',
    'systemd-boot-efi',
    'kmod',
    'zstd',
  ];
  const built = await mkimg([
    ...[
      '-C',
      directory,
      '--distribution=debian',
      '--release=trixie',
      '--format=directory',
      '--output=system',
    ],
    ...packages.map((name) => `--package=${name}`),
    ...[`--output-directory=${directory}`, '--bootable=no', 'build'],
  ]);
  if (built.code !== 0) throw new Error(`the system could not be built: ${built.stderr}`);
  const root = join(directory, 'system');
  const [kernelVersion] = await readdir(join(root, 'usr/lib/modules'));
  if (kernelVersion === undefined) throw new Error('the system has no kernel');
  const names = await readdir(join(root, 'boot')).catch(() => []);
  const image = names.find((name) => name.startsWith('vmlinuz-'));
  const kernel = join(
    root,
    image === undefined ? `usr/lib/modules/${kernelVersion}/vmlinuz` : `boot/${image}`,
  );
  return { root, kernelVersion, kernel };
}

export interface HookRun {
  readonly code: number;
  readonly stderr: string;
}

/** What a test says about a machine on which kernel-install runs. */
export interface HookMachine {
  readonly system: System;
  readonly bootRoot: string;
  readonly configuration: string;
  readonly cache: string;
  readonly extraEnvironment?: Readonly<Record<string, string>>;
  /** POSIX sh that runs before and after, in a mount namespace of its own. */
  readonly around?: { readonly before: string; readonly after?: string };
}

const machineId = '3e0484f3634a418b8e6a39e8828b03e3';

/** Writes install.conf and cmdline. */
export async function configure(machine: HookMachine, settings: readonly string[]): Promise<void> {
  await mkdir(machine.configuration, { recursive: true });
  await writeFile(join(machine.configuration, 'install.conf'), `${settings.join('\n')}\n`);
  await writeFile(join(machine.configuration, 'cmdline'), 'root=LABEL=root quiet\n');
}

/** A machine below a directory: a system, a boot partition for /boot/initrd.img-VERSION, and a cache of its own for initrds. */
export async function hookMachine(directory: string): Promise<HookMachine> {
  const machine = {
    system: await buildSystem(directory),
    cache: await ownInitrdCache(join(directory, 'cache')),
    bootRoot: join(directory, 'boot'),
    configuration: join(directory, 'kernel'),
  };
  await mkdir(machine.bootRoot);
  await configure(machine, ['layout=other', 'initrd_generator=mkimg']);
  return machine;
}

/** Options of mkimg for the plugin: the system in the directory instead of the machine that tests run on. */
function pluginEnvironment({ system, cache }: HookMachine): Readonly<Record<string, string>> {
  return {
    KERNEL_INSTALL_MKIMG: mkimgProgram,
    KERNEL_INSTALL_MKIMG_OPTIONS: `--root=${system.root} --generic --cache-directory=${cache}`,
  };
}

/** A command with its whole environment. */
export interface HookCommand {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The system's own kernel-install on this machine: with the system's libraries, by the system's loader. */
export function kernelInstallCommand(machine: HookMachine, argv: readonly string[]): HookCommand {
  const { root } = machine.system;
  const libraries = ['usr/lib/x86_64-linux-gnu/systemd', 'usr/lib/x86_64-linux-gnu'].map((path) =>
    join(root, path),
  );
  const plugins = join(root, 'usr/lib/kernel/install.d');
  return {
    argv: [
      ...namespace(machine),
      join(root, 'usr/lib64/ld-linux-x86-64.so.2'),
      ...['--library-path', libraries.join(':'), join(root, 'usr/bin/kernel-install'), ...argv],
    ],
    env: {
      ...pluginEnvironment(machine),
      KERNEL_INSTALL_CONF_ROOT: machine.configuration,
      KERNEL_INSTALL_PLUGINS: [
        plugin,
        ...['90-loaderentry.install', '90-uki-copy.install'].map((name) => join(plugins, name)),
      ].join(' '),
      BOOT_ROOT: machine.bootRoot,
      MACHINE_ID: machineId,
      PATH: process.env['PATH'] ?? '',
      ...machine.extraEnvironment,
    },
  };
}

/** Runs the system's own kernel-install. */
export function kernelInstall(machine: HookMachine, argv: readonly string[]): Promise<HookRun> {
  return run(kernelInstallCommand(machine, argv));
}

/** Runs the plugin alone, with no more environment than given. */
export async function runPlugin(
  machine: HookMachine,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<HookRun> {
  return run({
    argv: [...namespace(machine), plugin, ...argv],
    env: { ...pluginEnvironment(machine), ...environment },
  });
}

function namespace({ around }: HookMachine): readonly string[] {
  if (around === undefined) return [];
  const script = `{ ${around.before}\n} || exit 99\n"$@"; code=$?\n${around.after ?? ''}\nexit $code`;
  return ['unshare', '--mount', 'sh', '-uc', script, 'sh'];
}

async function run({ argv, env }: HookCommand): Promise<HookRun> {
  const [program = '', ...rest] = argv;
  const { exitCode, signal, stdout, tail } = await runProgram({
    argv: [program, ...rest],
    env,
    workingDirectory: hostPath('/'),
    stdout: 'capture',
    events: silentEvents,
  });
  return { code: exitCode ?? 128, stderr: [stdout, ...tail, signal ?? ''].join('\n') };
}

/**
 * A cache of its own for initrds, below a directory, on top of everybody's: results of steps are shared with other tests,
 * segments and records are not.
 */
export async function ownInitrdCache(directory: string): Promise<string> {
  const shared = cacheDirectory({ setting: undefined, environment: process.env, uid: 0 });
  await mkdir(directory);
  for (const name of ['store', 'packages', 'metadata', 'state'])
    await symlink(join(shared, name), join(directory, name));
  return directory;
}
