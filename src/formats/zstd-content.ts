import { MkimgError } from '../base/errors.ts';
import { bufferSource } from './bytes.ts';
import { readZstdFrame } from './zstd-frame.ts';

type Decompress = (content: Buffer) => Promise<Buffer>;

let binding: Promise<Decompress | undefined> | undefined;

/** The native module has programs for some machines only, and is no part of the package for all of them. */
function loadBinding(): Promise<Decompress | undefined> {
  binding ??= import('@mongodb-js/zstd').then(
    ({ decompress }) => decompress,
    () => undefined,
  );
  return binding;
}

/**
 * Unpacks one small file (a kernel module, a member of an archive) in this process; streams and bulk go through the zstd
 * program.
 * @param limit the most bytes that it may unpack to
 * @returns undefined where this process cannot: the native module is not there, or the frame does not say how long its
 *   content is (so that nobody knows beforehand how much memory it takes)
 * @throws MkimgError `bad-zstd`, `truncated-file` when the file is damaged or unpacks to more than the limit.
 */
export async function decompressZstd(content: Buffer, limit: number): Promise<Buffer | undefined> {
  const { contentSize, size } = readZstdFrame(bufferSource(content));
  if (contentSize === undefined || size !== content.length) return undefined;
  if (contentSize > limit)
    throw new MkimgError('bad-zstd', `it unpacks to ${contentSize} bytes, and ${limit} are the most`);
  const decompress = await loadBinding();
  if (decompress === undefined) return undefined;
  try {
    return await decompress(content);
  } catch (error) {
    throw new MkimgError('bad-zstd', 'its content is damaged', { cause: error });
  }
}
