import { join, relative } from 'node:path';
import type { HostPath, ImageName, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import type { ResolvedImage, SettingName } from '../config/project.ts';
import { outputBase } from './outputs.ts';
import type { AnyRef, ImageOutputs, Ref } from './step.ts';

/** A path in an output directory that is called as an output of an image is called. */
export interface NamedOutput {
  readonly maker: ResolvedImage;
  /** File name in the output directory. */
  readonly name: string;
  /** What follows it, for a path into a directory; else empty. */
  readonly inside: TreePath;
}

/**
 * The image, another than the one that asks, whose output a path means: `%O/base`, `%O/base.tar.zst` or
 * `%O/base/usr/share`, with `Output=base`. Whether the image has such an output only planning it can tell.
 */
export function namedOutput(
  path: HostPath,
  asking: ImageName,
  images: readonly ResolvedImage[],
): NamedOutput | undefined {
  const found = images
    .filter(({ name }) => name !== asking)
    .flatMap((maker) => outputNamedBy(path, maker) ?? []);
  // base.devel.tar is an output of `base.devel` rather than of `base`.
  const length = ({ maker }: NamedOutput): number => outputBase(maker.config).length;
  return found.sort((left, right) => length(right) - length(left))[0];
}

function outputNamedBy(path: HostPath, maker: ResolvedImage): NamedOutput | undefined {
  const below = relative(maker.config.OutputDirectory, path);
  const [name = '', ...inside] = below.split('/');
  const base = outputBase(maker.config);
  if (name !== base && !name.startsWith(`${base}.`)) return undefined;
  return { maker, name, inside: treePath(inside.join('/')) };
}

/** An output of another image that a setting names. */
export interface MadeOutput {
  readonly name: string;
  readonly from: AnyRef;
  /** What is in it, where it is the image itself and not a file beside it. */
  readonly tree: Ref<'tree'> | undefined;
  /** The tree is a directory, whose files belong to whoever copies them; archives and disks know their owners. */
  readonly isDirectory: boolean;
  readonly inside: TreePath;
}

/** What an image takes of the others of its project. */
export interface OtherImages {
  /** The output that a path of a setting means; undefined for a path on the host. Plans the image that makes it. */
  outputAt(path: HostPath, setting: SettingName): MadeOutput | undefined;
  /** Packages that the scripts of images made which Dependencies= names. Plans those images. */
  packages(): readonly Ref<'products'>[];
  /** Notes a fault of the configuration. */
  fault(diagnostic: Diagnostic): void;
}

/** Where a path of a setting was written. */
export function originOfPath(image: ResolvedImage, setting: SettingName, path: HostPath): Origin {
  const entry = image
    .resolved(setting)
    .entries.find(({ value }) => value === path || (isMapping(value) && value.source === path));
  return entry?.origin ?? image.originOf(setting);
}

function isMapping(value: unknown): value is { readonly source: unknown } {
  return typeof value === 'object' && value !== null && 'source' in value;
}

/** Two images may not put files of one name into one directory. */
export function sharedNames(
  outputs: readonly ImageOutputs[],
  images: readonly ResolvedImage[],
): readonly Diagnostic[] {
  const owners = new Map<string, ImageName>();
  const faults = new Map<string, Diagnostic>();
  for (const { image, directory, outputs: files } of outputs) {
    for (const name of files.flatMap(({ name, link }) => (link === undefined ? [name] : [name, link]))) {
      const path = join(directory, name);
      const owner = owners.get(path) ?? image;
      owners.set(path, owner);
      const pair = `${owner} ${image}`;
      if (owner !== image && !faults.has(pair)) faults.set(pair, sharedName(path, { owner, image, images }));
    }
  }
  return [...faults.values()];
}

interface Sharing {
  readonly owner: ImageName;
  readonly image: ImageName;
  readonly images: readonly ResolvedImage[];
}

function sharedName(path: string, { owner, image, images }: Sharing): Diagnostic {
  const origin = images.find(({ name }) => name === image)?.originOf('Output');
  return {
    ...{ severity: 'error', code: 'output-twice' },
    message: `the images ${owner} and ${image} both make ${path}`,
    hint: 'Give one of them another Output= or OutputDirectory=.',
    ...(origin === undefined ? {} : { origin }),
  };
}
