import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import { MkimgError } from '../../base/errors.ts';
import { compareVersions } from '../../base/version.ts';
import type { OpenedFiles } from '../../plan/step.ts';

/** A kernel of the image and what it boots with. */
export interface BootableKernel {
  readonly version: string;
  readonly kernel: HostPath;
  readonly initrd: HostPath;
}

/**
 * Kernels with their initrds, the newest first.
 * @throws MkimgError `kernel-missing` when there is none
 */
export function bootableKernels(kernels: OpenedFiles, initrds: OpenedFiles): readonly BootableKernel[] {
  const suffix = '.vmlinuz';
  const found = kernels.names
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
    .filter((version) => initrds.names.includes(`${version}.initrd`))
    .sort((left, right) => compareVersions(right, left) || byBytes(left, right));
  if (found.length === 0) {
    throw new MkimgError('kernel-missing', 'The image has no kernel to boot.', {
      hint: 'Add a kernel to Packages=, or set Bootable=no.',
    });
  }
  return found.map((version) => ({
    version,
    kernel: join(kernels.directory, `${version}${suffix}`) as HostPath,
    initrd: join(initrds.directory, `${version}.initrd`) as HostPath,
  }));
}
