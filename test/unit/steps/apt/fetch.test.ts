import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { sha256 } from '../../../../src/base/canonical.ts';
import { MkimgError } from '../../../../src/base/errors.ts';
import type { TemporaryDirectory } from '../../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import type { FetchContext, PackageFile } from '../../../../src/steps/apt/fetch.ts';
import { fetchPackages, poolPath } from '../../../../src/steps/apt/fetch.ts';
import { proxyFor } from '../../../../src/steps/apt/http.ts';

const content = Buffer.alloc(300_000, 'mkimg');
let cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups = [];
});

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

async function bench(): Promise<{
  directory: TemporaryDirectory;
  context: FetchContext;
  progress: number[];
}> {
  const directory = await temporaryDirectory('/tmp', 'mkimg-fetch-');
  cleanups.push(() => directory[Symbol.asyncDispose]());
  const progress: number[] = [];
  const context: FetchContext = {
    packagePool: hostPath(join(directory.path, 'pool')),
    signal: new AbortController().signal,
    origin: undefined,
    lock: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
    progress: (done) => void progress.push(done),
  };
  return { directory, context, progress };
}

function packageFile(urls: string[], data: Buffer = content): PackageFile {
  return { name: 'thing', version: '1', urls, size: data.length, sha256: sha256(data) };
}

async function failure(promise: Promise<void>): Promise<MkimgError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MkimgError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

/** A server that gives parts, as mirrors do; `asked` collects the Range headers. */
function partServer(asked: (string | undefined)[]): RequestListener {
  return (request, response) => {
    const { range } = request.headers;
    asked.push(range);
    const offset = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    response.statusCode = range === undefined ? 200 : 206;
    response.end(content.subarray(offset));
  };
}

describe('fetchPackages', () => {
  it('stores a file under its digest and does not fetch it again', async () => {
    const asked: (string | undefined)[] = [];
    const base = await serve(partServer(asked));
    const { context, progress } = await bench();
    const file = packageFile([`${base}/thing.deb`]);
    await fetchPackages([file], context);
    await fetchPackages([file], context);
    expect(content.equals(await readFile(poolPath(context.packagePool, file)))).toBe(true);
    expect(asked).toEqual([undefined]);
    expect(progress.at(-1)).toBe(content.length);
    expect(await readdir(context.packagePool)).toEqual([`${file.sha256}.deb`]);
  });

  it('continues what was cut off', async () => {
    const asked: (string | undefined)[] = [];
    const base = await serve(partServer(asked));
    const { context } = await bench();
    const file = packageFile([`${base}/thing.deb`]);
    const path = poolPath(context.packagePool, file);
    await mkdir(context.packagePool);
    await writeFile(`${path}.part`, content.subarray(0, 1000));
    await fetchPackages([file], context);
    expect(asked).toEqual(['bytes=1000-']);
    expect(content.equals(await readFile(path))).toBe(true);
  });

  it('starts anew when the part is not of this file, or the server gives no parts', async () => {
    const asked: (string | undefined)[] = [];
    const base = await serve(partServer(asked));
    const { context } = await bench();
    const file = packageFile([`${base}/thing.deb`]);
    const path = poolPath(context.packagePool, file);
    await mkdir(context.packagePool);
    await writeFile(`${path}.part`, Buffer.alloc(500, 'x'));
    await fetchPackages([file], context);
    expect(asked).toEqual(['bytes=500-', undefined]);
    expect(content.equals(await readFile(path))).toBe(true);

    const other = await serve((_, response) => void response.end(content));
    const again = { ...file, urls: [`${other}/thing.deb`] };
    await writeFile(path, 'damaged');
    await writeFile(`${path}.part`, Buffer.alloc(500, 'x'));
    await fetchPackages([again], context);
    expect(content.equals(await readFile(path))).toBe(true);
  });

  it('refuses a file with another digest, and leaves nothing', async () => {
    const base = await serve((_, response) => void response.end(Buffer.alloc(content.length, 'evil')));
    const { context } = await bench();
    const file = packageFile([`${base}/thing.deb`]);
    const error = await failure(fetchPackages([file], context));
    expect(error.code).toBe('hash-mismatch');
    expect(error.message).toContain(file.sha256);
    expect(error.message).toContain(sha256(Buffer.alloc(content.length, 'evil')));
    expect(error.message).toContain(`${base}/thing.deb`);
    expect(await readdir(context.packagePool)).toEqual([]);
  });

  it('stops reading a file that is longer than it should be', async () => {
    const base = await serve((_, response) => void response.end(Buffer.concat([content, content])));
    const { context } = await bench();
    expect((await failure(fetchPackages([packageFile([`${base}/thing.deb`])], context))).code).toBe(
      'hash-mismatch',
    );
  });

  it('follows redirections, tries again after faults of the server, and then the next address', async () => {
    let faults = 0;
    const asked: (string | undefined)[] = [];
    const good = await serve(partServer(asked));
    const base = await serve((request, response) => {
      if (request.url === '/moved') {
        response.writeHead(302, { Location: `${good}/thing.deb` }).end();
      } else if (request.url === '/gone') {
        response.writeHead(404).end();
      } else {
        faults += 1;
        if (faults === 1) response.writeHead(503).end();
        else response.end(content);
      }
    });
    const { context } = await bench();
    await fetchPackages([packageFile([`${base}/moved`])], context);
    expect(asked).toHaveLength(1);
    const second = Buffer.concat([content, Buffer.from('2')]);
    const unreachable = packageFile([`${base}/gone`, `file:${await fileWith(second)}`], second);
    await fetchPackages([unreachable], context);
    const third = { ...packageFile([`${base}/flaky`]), name: 'flaky' };
    const fresh = await bench();
    await fetchPackages([third], fresh.context);
    expect(faults).toBe(2);
  });

  it('says when the mirror no longer has a file', async () => {
    const base = await serve((_, response) => void response.writeHead(404).end());
    const { context } = await bench();
    const error = await failure(fetchPackages([packageFile([`${base}/pool/thing.deb`])], context));
    expect(error.code).toBe('package-gone');
    expect(error.message).toContain(`${base}/pool/thing.deb`);
  });

  it('ends at once when it is interrupted', async () => {
    const base = await serve(() => undefined);
    const { context } = await bench();
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('stop')), 50);
    await expect(
      fetchPackages([packageFile([`${base}/thing.deb`])], { ...context, signal: controller.signal }),
    ).rejects.toThrow('stop');
  });
});

async function fileWith(data: Buffer): Promise<string> {
  const directory = await temporaryDirectory('/tmp', 'mkimg-fetch-');
  cleanups.push(() => directory[Symbol.asyncDispose]());
  await writeFile(join(directory.path, 'x.deb'), data);
  return join(directory.path, 'x.deb');
}

describe('proxyFor', () => {
  const http = new URL('http://mirror.example/debian');
  const https = new URL('https://mirror.example/debian');

  it('takes the variable of the scheme', () => {
    const environment = { http_proxy: 'proxy.example:3128', HTTPS_PROXY: 'http://tls.example' };
    expect(proxyFor(http, environment)?.href).toBe('http://proxy.example:3128/');
    expect(proxyFor(https, environment)?.href).toBe('http://tls.example/');
    expect(proxyFor(https, { all_proxy: 'http://all.example' })?.href).toBe('http://all.example/');
    expect(proxyFor(http, { HTTP_PROXY: 'http://from-a-request.example' })).toBeUndefined();
    expect(proxyFor(http, {})).toBeUndefined();
  });

  it('heeds no_proxy', () => {
    const environment = (list: string) => ({ http_proxy: 'http://p', no_proxy: list });
    expect(proxyFor(http, environment('localhost, .example'))).toBeUndefined();
    expect(proxyFor(http, environment('mirror.example'))).toBeUndefined();
    expect(proxyFor(http, environment('*'))).toBeUndefined();
    expect(proxyFor(http, environment('ror.example'))).toBeDefined();
  });

  it('is asked for the whole address', async () => {
    const asked: (string | undefined)[] = [];
    const proxy = await serve((request, response) => {
      asked.push(request.url, request.headers['proxy-authorization']);
      response.end(content);
    });
    const { context } = await bench();
    process.env['http_proxy'] = proxy.replace('//', '//user:pass@');
    cleanups.push(() => delete process.env['http_proxy']);
    await fetchPackages([packageFile(['http://mirror.example/pool/thing.deb'])], context);
    expect(asked).toEqual([
      'http://mirror.example/pool/thing.deb',
      `Basic ${Buffer.from('user:pass').toString('base64')}`,
    ]);
  });
});
