import pLimit from 'p-limit';
import { fileURLToPath } from 'node:url';
import type { StepKey } from '../../base/brand.ts';
import type { EventSink } from '../../base/events.ts';
import type { Sandbox } from '../../sandbox/types.ts';
import type { Environment } from '../../steps/apt/http.ts';
import type { SharedFiles } from '../../steps/implementation.ts';
import type { Entry, Store } from '../store.ts';
import { fileTransport } from './file-transport.ts';
import { httpTransport } from './http-transport.ts';
import type { Patience } from './patience.ts';
import { defaultPatience } from './patience.ts';
import type { Pulling, Scene } from './results.ts';
import { packResult, pullResult, sendResult } from './results.ts';
import { contentName } from './shared-record.ts';
import { useSwitch } from './switch.ts';
import { receiveContent, sendFile } from './transfer.ts';
import type { Transport } from './transport.ts';

export interface SharedCacheOptions {
  /** http:, https: or file:; a name and password in it are shown nowhere. */
  readonly url: URL;
  /** Also store what is made here. */
  readonly writable: boolean;
  readonly store: Store;
  readonly events: EventSink;
  readonly signal: AbortSignal;
  /** With tools that have GNU tar and zstd. */
  readonly sandbox: Sandbox;
  /** For proxies and netrc. */
  readonly environment: Environment;
  readonly patience?: Patience;
}

/**
 * Results of other machines, by the same keys. Nothing about it can fail a build: the first fault is told in a note, and
 * from then on it counts as empty. Whoever can write to it decides what its users build with, because a key says what
 * went into a result and not what must come out; what is fetched is checked against the record alone.
 */
export interface SharedCache extends AsyncDisposable {
  /** Brings a result, with the layers that it stands on, into the store; false when it is not to be had. */
  pull(key: StepKey, pulling: Pulling): Promise<boolean>;
  /** Stores a result in the background. The artifact must stay where it is until packed(). */
  offer(entry: Entry): void;
  /** Package files by digest. */
  readonly files: SharedFiles;
  /** Waits until the artifacts on offer are no longer needed. */
  packed(): Promise<void>;
  /** Waits until everything is stored that is on offer. */
  finish(): Promise<void>;
}

const parallelTransfers = 4;

/** Opens a shared cache; nothing is sent yet. Disposal ends what is under way. */
export function openSharedCache(options: SharedCacheOptions): SharedCache {
  const { events, store, sandbox, signal, writable, patience = defaultPatience } = options;
  const transport = transportOf(options);
  const state = useSwitch({ name: shownAddress(options.url), events, signal, writable });
  const reading: Scene = { store, sandbox, line: { transport, patience, signal: state.reading } };
  const writing: Scene = { ...reading, line: { transport, patience, signal: state.writing } };
  const receive = pLimit(parallelTransfers);
  const send = pLimit(parallelTransfers);
  // One at a time: the compressor uses all processors, and archives take space.
  const pack = pLimit(1);
  const packs = new Jobs();
  const sends = new Jobs();
  return {
    pull: async (key, pulling) =>
      (await receive(() => state.read(() => pullResult(key, pulling, reading)))) === true,
    offer: (entry) => {
      if (!state.isWritable()) return;
      const packed = pack(() => state.write(() => packResult(entry, writing)));
      packs.add(packed);
      sends.add(
        packed.then(async (result) => {
          await using _archive = result;
          if (result !== undefined) await send(() => state.write(() => sendResult(result, writing)));
        }),
      );
    },
    files: {
      fetch: async (content, target) =>
        (await receive(() =>
          state.read(() => receiveContent(contentName(content.sha256), { ...content, target }, reading.line)),
        )) === true,
      offer: (sha256, file) => {
        const job = { name: contentName(sha256), file, unlessThere: true };
        sends.add(send(() => state.write(() => sendFile(job, writing.line))));
      },
    },
    packed: () => packs.settled(),
    finish: async () => {
      if (state.isWritable() && sends.size > 0) announce(sends.size, events);
      await packs.settled();
      await sends.settled();
    },
    [Symbol.asyncDispose]: async () => {
      state.close();
      await packs.settled();
      await sends.settled();
      transport[Symbol.dispose]();
    },
  };
}

/** Work in the background that handles its own faults. */
class Jobs {
  readonly #running = new Set<Promise<unknown>>();

  get size(): number {
    return this.#running.size;
  }

  add(job: Promise<unknown>): void {
    this.#running.add(job);
    const done = (): void => void this.#running.delete(job);
    job.then(done, done);
  }

  /** @throws what a job threw, which is a mistake of ours */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}

function announce(count: number, events: EventSink): void {
  const what = count === 1 ? 'a result' : `${count} results`;
  const message = `Storing ${what} in the shared cache`;
  events.emit({ type: 'note', level: 'info', code: 'shared-cache-storing', message });
}

function transportOf({ url, environment }: SharedCacheOptions): Transport {
  return url.protocol === 'file:' ? fileTransport(fileURLToPath(url)) : httpTransport(url, environment);
}

/** Where it is, without name, password and query, which may be secrets. */
export function shownAddress({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}
