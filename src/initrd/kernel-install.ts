import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';

/**
 * What kernel-install(8) asks of a plugin, by arguments and environment. Variables that older versions do not set have the
 * values that these versions mean.
 */
export interface HookCall {
  readonly verb: 'add' | 'remove';
  readonly kernelVersion: string;
  /** Where boot loader entries of this kernel keep their files; made by kernel-install where the layout has it. */
  readonly entryDirectory: HostPath;
  /** The kernel; absent of `remove`. */
  readonly image: HostPath | undefined;
  /** Initrds that were given to kernel-install. */
  readonly initrds: readonly HostPath[];
  readonly imageType: string;
  readonly layout: string;
  readonly bootRoot: HostPath;
  readonly entryToken: string;
  /** Where plugins leave files for those that run after them; absent before systemd 254. */
  readonly stagingArea: HostPath | undefined;
  readonly initrdGenerator: string;
  readonly ukiGenerator: string;
  readonly verbose: boolean;
}

/** The name by which install.conf chooses these plugins. */
export const generatorName = 'mkimg';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the call of a plugin; undefined for verbs that are not ours.
 * @throws MkimgError `bad-usage` when arguments of a verb of ours are missing
 */
export function hookCall(argv: readonly string[], environment: Environment): HookCall | undefined {
  const [verb, kernelVersion = '', entryDirectory, image, ...initrds] = argv;
  if (verb !== 'add' && verb !== 'remove') return undefined;
  if (kernelVersion === '' || kernelVersion.includes('/')) throw missing('the version of a kernel');
  const entry = absolute(entryDirectory);
  if (entry === undefined) throw missing('the directory of the entry');
  const kernel = absolute(image);
  if (verb === 'add' && kernel === undefined) throw missing('the kernel');
  return {
    ...{ verb, kernelVersion, entryDirectory: entry },
    ...(verb === 'add'
      ? { image: kernel, initrds: initrds.flatMap((path) => absolute(path) ?? []) }
      : nothingAdded),
    ...hookVariables((name) => environment[`KERNEL_INSTALL_${name}`] ?? ''),
  };
}

const nothingAdded = { image: undefined, initrds: [] };

type HookVariables = Omit<HookCall, 'verb' | 'kernelVersion' | 'entryDirectory' | 'image' | 'initrds'>;

function hookVariables(variable: (name: string) => string): HookVariables {
  return {
    imageType: variable('IMAGE_TYPE'),
    layout: variable('LAYOUT') || 'other',
    bootRoot: absolute(variable('BOOT_ROOT')) ?? hostPath('/boot'),
    entryToken: variable('ENTRY_TOKEN') || variable('MACHINE_ID'),
    stagingArea: absolute(variable('STAGING_AREA')),
    initrdGenerator: variable('INITRD_GENERATOR'),
    ukiGenerator: variable('UKI_GENERATOR'),
    verbose: Number(variable('VERBOSE')) > 0,
  };
}

function missing(what: string): MkimgError {
  return new MkimgError('bad-usage', `kernel-install did not say ${what}`, {
    hint: 'This is a plugin of kernel-install(8), which calls it as `add VERSION DIRECTORY KERNEL [INITRD...]`.',
    class: 'usage',
  });
}

function absolute(text: string | undefined): HostPath | undefined {
  return text?.startsWith('/') === true ? hostPath(text) : undefined;
}

/** What a plugin has to do. */
export type HookTask =
  /** Not asked for. Another plugin may be. */
  | { readonly kind: 'nothing' }
  /** Leave the segments in the staging area for the plugins after this one. */
  | { readonly kind: 'stage'; readonly directory: HostPath }
  /** Make one file of the segments, where a boot loader looks for it. */
  | {
      readonly kind: 'initrd';
      readonly path: HostPath;
      /** It gets to the boot partition, too, by plugins after this one. */
      readonly isStaged?: boolean;
    }
  /** Make a unified kernel image. */
  | { readonly kind: 'uki'; readonly path: HostPath; readonly kernel: HostPath }
  /** Remove what `initrd` or `uki` made: nobody else does. */
  | { readonly kind: 'remove'; readonly paths: readonly HostPath[] };

/** What is known of the machine. */
export interface HookFacts {
  /** kernel-install made the directory of the entry. */
  readonly hasEntryDirectory: boolean;
  /** The system is of Debian's family, where boot loaders look for `initrd.img-VERSION`. */
  readonly isDebian: boolean;
  /** A later plugin stages /boot/initrd.img-VERSION, as Debian's 55-initrd.install does wherever that file is. */
  readonly stagesPlainInitrd: boolean;
  /** The kernel stands beside the plain initrd, or will: kernel-install is not what removes it. */
  readonly keepsPlainKernel: boolean;
}

/** Decides what is asked for. A kernel that brings its own initrd, as a UKI does, needs none. */
export function hookTask(call: HookCall, facts: HookFacts): HookTask {
  const makesUki = call.layout === 'uki' && call.ukiGenerator === generatorName;
  if (call.initrdGenerator !== generatorName && !makesUki) return nothing;
  if (call.verb === 'remove')
    return facts.keepsPlainKernel ? nothing : { kind: 'remove', paths: leftBehind(call) };
  if (['uki', 'addon'].includes(call.imageType) || call.image === undefined) return nothing;
  if (makesUki) return { kind: 'uki', path: ukiPath(call), kernel: call.image };
  return call.initrds.length > 0 ? nothing : initrdTask(call, facts);
}

/**
 * Where the addon of a unified kernel image that came as one is to be made; undefined for other kernels, and for versions of
 * kernel-install that have no staging area.
 */
export function addonPath(call: HookCall): HostPath | undefined {
  const { verb, layout, imageType, stagingArea } = call;
  if (verb !== 'add' || layout !== 'uki' || imageType !== 'uki' || stagingArea === undefined)
    return undefined;
  return hostPath(join(stagingArea, 'uki.efi.extra.d', addonName));
}

/** Beside other addons of the same image. */
const addonName = 'mkimg-local.addon.efi';

const nothing: HookTask = { kind: 'nothing' };

function initrdTask(call: HookCall, facts: HookFacts): HookTask {
  const { hasEntryDirectory, isDebian, stagesPlainInitrd } = facts;
  // Segments of ours would stand beside that file in the entry, and what is in both would come from the wrong one.
  if (stagesPlainInitrd && call.stagingArea !== undefined)
    return { kind: 'initrd', path: debianInitrd(call.kernelVersion), isStaged: call.layout !== 'other' };
  if (call.layout === 'other') return { kind: 'initrd', path: plainPath(call, isDebian) };
  if (call.stagingArea !== undefined) return { kind: 'stage', directory: call.stagingArea };
  // Before there was a staging area, this is where the plugin that writes entries looks (90-loaderentry).
  const path = hasEntryDirectory ? hostPath(join(call.entryDirectory, 'initrd')) : plainPath(call, false);
  return { kind: 'initrd', path };
}

function ukiPath({ bootRoot, entryToken, kernelVersion, stagingArea }: HookCall): HostPath {
  if (stagingArea !== undefined) return hostPath(join(stagingArea, 'uki.efi'));
  const token = entryToken === '' ? '' : `${entryToken}-`;
  return hostPath(join(bootRoot, 'EFI/Linux', `${token}${kernelVersion}.efi`));
}

function plainPath({ bootRoot, kernelVersion }: HookCall, isDebian: boolean): HostPath {
  const name = isDebian ? `initrd.img-${kernelVersion}` : `initramfs-${kernelVersion}.img`;
  return hostPath(join(bootRoot, name));
}

/** Where Debian's packages look for the initrd of a kernel, whatever boots it. */
export function debianInitrd(kernelVersion: string): HostPath {
  return hostPath(join('/boot', `initrd.img-${kernelVersion}`));
}

/** kernel-install removes entries, and 90-uki-copy removes UKIs; plain files are left to whoever made them. */
function leftBehind(call: HookCall): readonly HostPath[] {
  return [plainPath(call, true), plainPath(call, false)];
}

/** Names in the staging area. Those who read it sort them: the order is that of the initrd. */
export const stagedNames = {
  microcode: 'microcode',
  base: 'initrd-10-base',
  profile: 'initrd-15-profile',
  modules: 'initrd-20-modules',
  host: 'initrd-90-host',
} as const;
