import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Sha256 } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { layOut } from './join.ts';
import { initrdRegister } from './measurement.ts';
import type { Segment } from './segment-cache.ts';

/** A whole initrd, of which every part has a manifest of its own. */
export interface WholeInitrd {
  readonly kernelVersion: string;
  /** The file or directory that was made; undefined where kernel-install(8) has put the parts into boot loader entries. */
  readonly output: string | undefined;
  readonly segments: readonly Segment[];
}

/** What an initrd consists of, and what the kernel will extend a register of the TPM with when it loads it. */
export async function initrdManifest({ kernelVersion, output, segments }: WholeInitrd): Promise<Json> {
  const { offsets, size } = layOut(segments.map(({ bytes }) => bytes));
  return {
    ...{ format: 1, kernelVersion, bytes: size },
    ...(output === undefined ? {} : { output }),
    parts: segments.map(({ role, key, sha256, bytes }, index) => ({
      ...{ role, offset: offsets[index] ?? 0, bytes, sha256, segment: `${role}-${key}` },
    })),
    measurements: [{ register: initrdRegister, sha256: await joinedDigest(segments) }],
  };
}

/** The digest of the segments as they stand in one file. */
async function joinedDigest(segments: readonly Segment[]): Promise<Sha256> {
  const hash = createHash('sha256');
  const { offsets } = layOut(segments.map(({ bytes }) => bytes));
  let end = 0;
  for (const [index, { path, bytes }] of segments.entries()) {
    const start = offsets[index] ?? 0;
    hash.update(Buffer.alloc(start - end));
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
      hash.update(chunk as Buffer);
    end = start + bytes;
  }
  return sha256Digest(hash.digest('hex'));
}
