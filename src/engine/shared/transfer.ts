import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { HostPath } from '../../base/brand.ts';
import { SharedCacheFault } from './fault.ts';
import type { Patience } from './patience.ts';
import { watchTransfer } from './patience.ts';
import { longestRecord } from './shared-record.ts';
import type { Transport } from './transport.ts';

/** What one transfer works with. */
export interface Line {
  readonly transport: Transport;
  readonly patience: Patience;
  readonly signal: AbortSignal;
}

/** Content by its digest. */
export interface Content {
  readonly sha256: string;
  readonly bytes: number;
}

/** Reads a short text; undefined when there is none. @throws SharedCacheFault and errors of the transport */
export async function receiveText(name: string, line: Line): Promise<string | undefined> {
  using watch = watchTransfer(line.patience, line.signal);
  return await watched(watch.signal, async () => {
    const body = await line.transport.get(name, watch.signal);
    if (body === undefined) return undefined;
    const chunks: Buffer[] = [];
    let bytes = 0;
    // The watch is not told that the answer has begun: so short a text must be there as a whole by then.
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > longestRecord) throw new SharedCacheFault('it answers with far too much');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  });
}

/**
 * Brings content into a new file, and makes sure that it is what was asked for; false when the cache does not have it.
 * @throws SharedCacheFault and errors of the transport
 */
export async function receiveContent(
  name: string,
  { sha256, bytes: expected, target, progress }: Content & ReceiveTarget,
  line: Line,
): Promise<boolean> {
  using watch = watchTransfer(line.patience, line.signal);
  return await watched(watch.signal, async () => {
    const body = await line.transport.get(name, watch.signal);
    if (body === undefined) return false;
    watch.begin();
    const hash = createHash('sha256');
    const handle = await open(target, 'wx', 0o600);
    let bytes = 0;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.byteLength;
        if (bytes > expected) throw wrongContent();
        watch.count(chunk.byteLength);
        hash.update(chunk);
        await handle.appendFile(chunk);
        progress?.(bytes);
      }
    } finally {
      await handle.close();
    }
    if (bytes !== expected || hash.digest('hex') !== sha256) throw wrongContent();
    return true;
  });
}

export interface ReceiveTarget {
  /** Does not exist; is left behind when the transfer fails. */
  readonly target: HostPath;
  readonly progress?: (bytes: number) => void;
}

function wrongContent(): SharedCacheFault {
  return new SharedCacheFault('it answers with other data than it was given');
}

/** Stores a file under a name, unless `unlessThere` and the cache has it. */
export async function sendFile(
  {
    name,
    file,
    unlessThere,
  }: { readonly name: string; readonly file: HostPath; readonly unlessThere: boolean },
  line: Line,
): Promise<void> {
  using watch = watchTransfer(line.patience, line.signal);
  await watched(watch.signal, async () => {
    if (unlessThere && (await line.transport.has(name, watch.signal))) return;
    watch.begin();
    await line.transport.put(name, { file, signal: watch.signal, sent: (bytes) => watch.count(bytes) });
  });
}

/** The reason of an abort says more than the error that the abort made of the transfer. */
async function watched<T>(signal: AbortSignal, transfer: () => Promise<T>): Promise<T> {
  try {
    return await transfer();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
