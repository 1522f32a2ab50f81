import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { sha256 } from '../../base/canonical.ts';
import { MkimgError, unreachable } from '../../base/errors.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { architectures, nativeArchitecture } from '../../distro/architectures/index.ts';
import { writeDirectory } from '../../initrd/directory.ts';
import type { Segment } from '../../initrd/segment-cache.ts';
import { findKernelImage, ukiFacts, writeUki } from '../../initrd/uki.ts';
import { verifySegments } from '../../initrd/verify.ts';
import type { VerbContext } from '../verb.ts';
import { faultOfCache } from './cache-lock.ts';
import type { Product } from './publish.ts';
import { initrdFile, writeInitrd } from './publish.ts';
import type { InitrdOrder } from './request.ts';

/** What an order asks for, made of segments. */
export async function productOf(
  order: InitrdOrder,
  segments: readonly Segment[],
  context: VerbContext,
): Promise<Product> {
  const { format, output, request } = order;
  switch (format) {
    case 'cpio':
      return initrdFile(segments, output);
    case 'directory':
      return directoryProduct(order, segments, context);
    case 'uki': {
      const kernel = order.kernelImage ?? (await findKernelImage(request.root, request.kernelVersion));
      return ukiProduct({ ...request, kernel, segments, path: output });
    }
    default:
      return unreachable(format);
  }
}

function directoryProduct(
  { output, request }: InitrdOrder,
  segments: readonly Segment[],
  context: VerbContext,
): Product {
  return {
    path: output,
    type: 'directory',
    identity: segments.map(({ sha256: digest }) => digest),
    bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
    make: async (temporary) => {
      await verifySegments(segments);
      await writeDirectory(segments, temporary, { cache: request.cache, scope: context });
    },
  };
}

/** What a unified kernel image is made of. */
export interface UkiWish {
  readonly root: HostPath;
  readonly kernelVersion: string;
  readonly kernel: HostPath;
  readonly segments: readonly Segment[];
  readonly path: HostPath;
  /** Where segments are; the joined initrd stands there while it is needed. */
  readonly cache: HostPath;
  /** A directory with a `cmdline` that goes before those of the system. */
  readonly configuration?: HostPath;
}

/** A unified kernel image. @throws MkimgError `stub-missing` */
export async function ukiProduct(wish: UkiWish): Promise<Product> {
  const { segments, kernel, kernelVersion } = wish;
  const facts = await ukiFacts(wish.root, efiArchitecture(), wish.configuration);
  const { size, mtimeMs } = await stat(kernel);
  const stub = await stat(facts.stub);
  return {
    path: wish.path,
    type: 'file',
    identity: [
      ...segments.map(({ sha256: digest }) => digest),
      ...[kernel, String(size), String(mtimeMs), kernelVersion, facts.commandLine, sha256(facts.osRelease)],
      ...[facts.stub, String(stub.size), String(stub.mtimeMs)],
    ],
    bytes: segments.reduce((sum, { bytes }) => sum + bytes, size + stub.size),
    make: async (temporary) => {
      await using scratch = await temporaryDirectory(wish.cache, '.uki-');
      const initrd = hostPath(join(scratch.path, 'initrd'));
      try {
        await writeInitrd(segments, initrd);
      } catch (error) {
        throw faultOfCache(error, wish.cache);
      }
      await writeUki({ ...facts, kernel, kernelVersion, initrd }, temporary);
    },
  };
}

/** As file names of stubs have it. @throws MkimgError `bad-usage` */
export function efiArchitecture(): string {
  const { efi } = architectures[nativeArchitecture()];
  if (efi !== undefined) return efi.name;
  throw new MkimgError('bad-usage', 'This architecture has no unified kernel images.', {
    hint: 'Use --format=cpio.',
    class: 'usage',
  });
}
