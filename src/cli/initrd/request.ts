import { release } from 'node:os';
import { join, resolve } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { cacheDirectory } from '../../engine/layout.ts';
import type { InitrdMode } from '../../initrd/modules/modes.ts';
import { initrdModes } from '../../initrd/modules/modes.ts';
import { callerUid } from '../../sandbox/namespace.ts';
import type { FlagAssignment, VerbContext } from '../verb.ts';

export const initrdFormats = ['cpio', 'uki', 'directory'] as const;
export type InitrdFormat = (typeof initrdFormats)[number];

/** What decides about the parts of an initrd. */
export interface InitrdRequest {
  /** The system that it is for; `/` for the one that runs. */
  readonly root: HostPath;
  readonly kernelVersion: string;
  readonly mode: InitrdMode;
  /** Settings of the command line, for the packages of the base. */
  readonly assignments: readonly FlagAssignment[];
  /** Where segments and records are. */
  readonly cache: HostPath;
}

/** What is to be made of the parts, and where it goes. */
export interface InitrdOrder {
  readonly request: InitrdRequest;
  readonly format: InitrdFormat;
  readonly output: HostPath;
  /** The kernel of a UKI; searched for where it is not named. */
  readonly kernelImage: HostPath | undefined;
  /** Run what Debian's boot loaders have in /etc/initramfs/post-update.d when the initrd is in its place. */
  readonly postUpdate: boolean;
}

/** Settings that `mkimg initrd` reads itself; all others are for the packages of the base. */
const ownSettings: readonly string[] = ['Format', 'Output', 'OutputDirectory', 'CacheDirectory'];

/**
 * Reads the command line of `mkimg initrd`.
 * @throws MkimgError `bad-usage`
 */
export function initrdOrder(context: VerbContext): InitrdOrder {
  const { extra } = context.options;
  const given = (setting: string): string | undefined =>
    context.assignments.findLast((assignment) => assignment.setting === setting)?.text;
  const root = hostPath(resolve(extra['root'] ?? '/'));
  const format = formatOf(given('Format') ?? 'cpio');
  const directory = resolve(given('OutputDirectory') ?? '.');
  const image = extra['kernel-image'];
  return {
    request: {
      root,
      kernelVersion: kernelVersionOf(extra['kernel-version']),
      mode: modeOf(extra),
      assignments: context.assignments.filter(({ setting }) => !ownSettings.includes(setting)),
      cache: initrdCache(given('CacheDirectory')),
    },
    format,
    output: hostPath(resolve(directory, given('Output') ?? defaultNames[format])),
    kernelImage: image === undefined ? undefined : hostPath(resolve(image)),
    postUpdate: extra['post-update'] !== undefined,
  };
}

const defaultNames: Readonly<Record<InitrdFormat, string>> = {
  cpio: 'initrd',
  uki: 'initrd.efi',
  directory: 'initrd',
};

/** Where segments, records and the like are kept below the cache. */
export function initrdCache(setting: string | undefined): HostPath {
  const chosen = setting === undefined || setting === '' ? undefined : hostPath(resolve(setting));
  const root = cacheDirectory({ setting: chosen, environment: process.env, uid: callerUid() });
  return hostPath(join(root, 'initrd'));
}

/** The version becomes part of paths. */
export function kernelVersionOf(given: string | undefined): string {
  const version = given === undefined || given === '' || given === '-' ? release() : given;
  if (!version.includes('/') && version !== '.' && version !== '..') return version;
  throw new MkimgError('bad-usage', `'${version}' is not the version of a kernel`, {
    hint: 'Name a directory of /usr/lib/modules, such as the one that `uname -r` prints.',
    class: 'usage',
  });
}

function formatOf(text: string): InitrdFormat {
  const format = initrdFormats.find((known) => known === text);
  if (format !== undefined) return format;
  throw new MkimgError('bad-usage', `an initrd cannot have the format '${text}'`, {
    hint: `Use --format=${initrdFormats.join(', --format=')}.`,
    class: 'usage',
  });
}

function modeOf(extra: Readonly<Record<string, string>>): InitrdMode {
  const chosen = initrdModes.filter((mode) => mode in extra);
  if (chosen.length <= 1) return chosen[0] ?? 'host-plus';
  throw new MkimgError('bad-usage', `--${chosen.join(' and --')} exclude each other`, {
    hint: 'Give one of them.',
    class: 'usage',
  });
}
