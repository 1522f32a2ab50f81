import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { isErrno } from '../../base/errors.ts';
import type { Environment } from '../../steps/apt/http.ts';
import { HttpClient, HttpStatusError } from '../../steps/apt/http.ts';
import { SharedCacheFault } from './fault.ts';
import { netrcCredentials } from './netrc.ts';
import type { Transport, TransportBody, Upload } from './transport.ts';

/**
 * A shared cache behind http: or https:, asked with GET, HEAD and PUT. Collections are made (MKCOL) when the server wants
 * them to be there before a file. Proxies are those of the environment; a name and password come from the URL or from
 * netrc.
 */
export function httpTransport(base: URL, environment: Environment): Transport {
  const client = new HttpClient(environment);
  let located: Promise<URL> | undefined;
  const locate = async (name: string): Promise<URL> => {
    located ??= withCredentials(base, environment);
    return inside(await located, name);
  };
  return {
    get: async (name, signal) => {
      try {
        return await openBody(client, await locate(name), signal);
      } catch (error) {
        if (error instanceof HttpStatusError && isAbsence(error.status)) return undefined;
        throw error;
      }
    },
    has: async (name, signal) => {
      const url = await locate(name);
      const { status } = await finished(await client.exchange({ method: 'HEAD', url, signal }));
      return isSuccess(status);
    },
    put: async (name, upload) => {
      const url = await locate(name);
      let status = await send(client, url, upload);
      if (status === 409 && (await makeCollections(client, await locate(''), { name, upload }))) {
        status = await send(client, url, upload);
      }
      if (!isSuccess(status)) throw new HttpStatusError(status, url);
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

function isAbsence(status: number): boolean {
  return status === 404 || status === 410;
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** The address of a file below the cache's. Its own path may end with a slash or not. */
export function inside(base: URL, name: string): URL {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, '')}/${name}`;
  return url;
}

async function withCredentials(base: URL, environment: Environment): Promise<URL> {
  if (base.username !== '') return base;
  const found = await netrcCredentials(base.hostname, environment);
  if (found === undefined) return base;
  return Object.assign(new URL(base), {
    username: encodeURIComponent(found.login),
    password: encodeURIComponent(found.password),
  });
}

async function openBody(client: HttpClient, url: URL, signal: AbortSignal): Promise<TransportBody> {
  const { body } = await client.open({ url, offset: 0, signal });
  return body;
}

/** Reads an answer to its end, so that the connection can be used again. */
async function finished(response: IncomingMessage): Promise<{ readonly status: number }> {
  const { statusCode: status = 0 } = response;
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    // Error pages are short. What does not end costs the connection.
    if (bytes > longestAnswer) break;
  }
  return { status };
}

const longestAnswer = 1 << 16;

async function send(client: HttpClient, url: URL, { file, signal, sent }: Upload): Promise<number> {
  const { size } = await stat(file);
  const body = createReadStream(file, { highWaterMark: 1 << 18 });
  body.on('data', (chunk) => sent(chunk.length));
  try {
    const headers = { 'Content-Length': size, 'Content-Type': 'application/octet-stream' };
    return (await finished(await client.exchange({ method: 'PUT', url, headers, body, signal }))).status;
  } catch (error) {
    if (isErrno(error, 'ECONNRESET', 'EPIPE')) throw new SharedCacheFault('it refuses what is sent to it');
    throw error;
  } finally {
    body.destroy();
  }
}

/** WebDAV (RFC 4918): PUT into a collection that does not exist fails with 409. True when there may be one now. */
async function makeCollections(
  client: HttpClient,
  base: URL,
  { name, upload: { signal } }: { readonly name: string; readonly upload: Upload },
): Promise<boolean> {
  const folder = name.slice(0, name.lastIndexOf('/'));
  for (const path of ['', `${folder}/`]) {
    const url = inside(base, path);
    const { status } = await finished(await client.exchange({ method: 'MKCOL', url, signal }));
    // 405: it is there already.
    if (!isSuccess(status) && status !== 405) return false;
  }
  return true;
}
