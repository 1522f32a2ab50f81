import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { sha256 } from '../../../../src/base/canonical.ts';
import { Resources } from '../../../../src/base/disposal.ts';
import type { RunEvent } from '../../../../src/base/events.ts';
import { stepKey } from '../../../../src/engine/record.ts';
import type { SharedCache } from '../../../../src/engine/shared/shared-cache.ts';
import type { Patience } from '../../../../src/engine/shared/patience.ts';
import { openSharedCache } from '../../../../src/engine/shared/shared-cache.ts';
import type { TestCache } from '../fixtures.ts';
import { recordedEvents, testCache } from '../fixtures.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const key = stepKey(sha256('a key'));
const content = Buffer.alloc(3 << 20, 'content');
const digest = createHash('sha256').update(content).digest('hex');

let open: Resources | undefined;
afterEach(() => open?.[Symbol.asyncDispose]());

interface Scene {
  readonly cache: TestCache;
  readonly shared: SharedCache;
  readonly events: readonly RunEvent[];
  readonly requests: string[];
}

/** For servers that let a build wait; with others a busy machine must not be taken for a slow server. */
const hasty = { answer: 300, window: 300, bytesPerWindow: 1 << 20 };
const patient = { answer: 60_000, window: 60_000, bytesPerWindow: 1 };

/** A shared cache on a server that answers so. */
async function sceneOf(
  answer: Answer,
  more: { readonly netrc?: string; readonly user?: string; readonly patience?: Patience } = {},
): Promise<Scene> {
  open = new Resources();
  const cache = open.use(await testCache());
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  open.use({
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  });
  const recorded = recordedEvents();
  const { events } = recorded;
  const { port } = server.address() as AddressInfo;
  const netrc = join(cache.path, 'netrc');
  await writeFile(netrc, more.netrc ?? '');
  const shared = openSharedCache({
    url: new URL(`http://${more.user ?? ''}127.0.0.1:${port}/place/`),
    writable: true,
    store: cache.store,
    events: recorded,
    signal: new AbortController().signal,
    sandbox: {
      mode: 'root',
      tools: { kind: 'host' },
      run: () => Promise.reject(new Error('nothing to unpack')),
    },
    environment: { NETRC: netrc },
    patience: more.patience ?? patient,
  });
  open.use(shared);
  return { cache, shared, events, requests };
}

const record = {
  ...{
    format: 1,
    key,
    kind: 'k',
    label: 'l',
    type: 'file',
    products: false,
    bytes: 1,
    layers: [],
    meta: null,
  },
  ...{ identity: {}, chain: [], archive: { sha256: digest, bytes: content.length } },
};

function recordThen(answer: Answer): Answer {
  return (request, response) => {
    if (request.url === `/place/ac/${key}`) response.end(JSON.stringify(record));
    else answer(request, response);
  };
}

const quiet = { contentKeyed: false, progress: () => undefined };

function notes(events: readonly RunEvent[]): readonly string[] {
  return events.flatMap((event) => (event.type === 'note' ? [`${event.code} ${event.message}`] : []));
}

describe('a shared cache that', () => {
  it.each<[string, Answer, string, Patience?]>([
    ['answers 500', (_, response) => response.writeHead(500).end(), 'it answers with status 500'],
    ['wants a password', (_, response) => response.writeHead(401).end(), 'it answers with status 401'],
    ['answers garbage', (_, response) => response.end('<html>'), 'something that is no record'],
    [
      'answers with the record of another key',
      (_, response) => response.end(JSON.stringify({ ...record, key: sha256('another') })),
      'something that is no record',
    ],
    [
      'redirects without end',
      (request, response) => response.writeHead(302, { location: request.url }).end(),
      'redirects without end',
    ],
    ['does not answer', () => undefined, 'it does not answer', hasty],
    ['begins a record and stops', (_, response) => response.write('{'), 'it does not answer', hasty],
    ['hangs up', (request) => request.socket.destroy(), 'it ends the connection'],
    [
      'answers without end',
      (_, response) => {
        const more = (error?: Error | null): void => {
          if (!error) response.write(Buffer.alloc(1 << 20, ' '), more);
        };
        more();
      },
      'it ',
      hasty,
    ],
    [
      'sends other data of the right length',
      recordThen((_, response) => response.end(Buffer.alloc(content.length, 'x'))),
      'other data than it was given',
    ],
    [
      'cuts data off',
      recordThen((_, response) => response.end(content.subarray(0, 1000))),
      'other data than it was given',
    ],
    [
      'sends too much data',
      recordThen((_, response) => response.end(Buffer.concat([content, content]))),
      'other data than it was given',
    ],
    [
      'stops in the middle of data',
      recordThen((_, response) => response.write(content.subarray(0, 1000))),
      'it is too slow',
      { ...patient, window: 300, bytesPerWindow: 1 << 20 },
    ],
  ])('%s is told once and left alone', async (_, answer, ...[reason, patience]) => {
    const { cache, shared, events, requests } = await sceneOf(answer, { ...(patience && { patience }) });
    expect(await shared.pull(key, quiet)).toBe(false);
    const told = notes(events);
    expect(told).toEqual([
      expect.stringContaining('shared-cache-unusable Cannot use the shared cache http://127'),
    ]);
    expect(told[0]).toContain(reason);
    const asked = requests.length;
    expect(await shared.pull(stepKey(sha256('next')), quiet)).toBe(false);
    expect(await shared.files.fetch({ sha256: digest, bytes: 1 }, hostPath(join(cache.path, 'f')))).toBe(
      false,
    );
    expect(requests).toHaveLength(asked);
    expect(notes(events)).toHaveLength(1);
    expect(await cache.store.keys()).toEqual([]);
  });

  it('does not have a result, or no longer its archive, is asked on', async () => {
    const { shared, events, requests } = await sceneOf(
      recordThen((_, response) => response.writeHead(404).end()),
    );
    expect(await shared.pull(key, quiet)).toBe(false);
    expect(await shared.pull(stepKey(sha256('next')), quiet)).toBe(false);
    expect(requests).toHaveLength(3);
    expect(notes(events)).toEqual([]);
  });

  it('has an archive that cannot be unpacked is left alone', async () => {
    const { cache, shared, events } = await sceneOf(recordThen((_, response) => response.end(content)));
    expect(await shared.pull(key, quiet)).toBe(false);
    expect(notes(events)[0]).toContain('an archive of it cannot be unpacked');
    expect(await cache.store.keys()).toEqual([]);
  });

  it.each([403, 405, 413, 507])('answers PUT with %i is still read', async (status) => {
    const { cache, shared, events } = await sceneOf((request, response) => {
      request.resume().on('end', () => {
        if (request.method === 'PUT') response.writeHead(status).end();
        else response.writeHead(request.method === 'HEAD' ? 404 : 200).end(content);
      });
    });
    const file = hostPath(join(cache.path, 'file'));
    await writeFile(file, 'small');
    shared.files.offer(digest, file);
    await shared.finish();
    shared.files.offer(digest, file);
    await shared.finish();
    expect(notes(events).filter((note) => note.startsWith('shared-cache-not-writable'))).toEqual([
      expect.stringContaining(`it answers with status ${status}`),
    ]);
    const target = hostPath(join(cache.path, 'fetched'));
    expect(await shared.files.fetch({ sha256: digest, bytes: content.length }, target)).toBe(true);
    expect((await readFile(target)).equals(content)).toBe(true);
  });

  it('is told name and password of the URL or of netrc, which appear nowhere', async () => {
    const seen: unknown[] = [];
    const answer: Answer = (request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(500).end();
    };
    for (const more of [
      { user: 'me:swamp%20thing@' },
      { netrc: 'machine other login x password y\nmachine 127.0.0.1 login me password swamp"thing' },
    ]) {
      const { shared, events } = await sceneOf(answer, more);
      await shared.pull(key, quiet);
      expect(JSON.stringify(events)).not.toMatch(/swamp|thing/);
      await open?.[Symbol.asyncDispose]();
    }
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
    expect(seen).toEqual([basic('me:swamp thing'), basic('me:swamp"thing')]);
  });

  it('is a WebDAV server gets its collections made', async () => {
    const made = new Set<string>();
    const { cache, shared, events, requests } = await sceneOf((request, response) => {
      const { method = '', url = '' } = request;
      request.resume().on('end', () => {
        if (method === 'MKCOL') made.add(url);
        const isRefused = method === 'PUT' && !made.has('/place/cas/');
        response.writeHead(method === 'HEAD' ? 404 : isRefused ? 409 : 201).end();
      });
    });
    const file = hostPath(join(cache.path, 'file'));
    await writeFile(file, 'small');
    shared.files.offer(digest, file);
    await shared.finish();
    expect(notes(events).filter((note) => !note.startsWith('shared-cache-storing'))).toEqual([]);
    expect(requests.map((line) => line.replace(digest, 'D'))).toEqual([
      'HEAD /place/cas/D',
      'PUT /place/cas/D',
      'MKCOL /place/',
      'MKCOL /place/cas/',
      'PUT /place/cas/D',
    ]);
  });
});
