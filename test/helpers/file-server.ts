import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { isErrno } from '../../src/base/errors.ts';

/** A directory, served over HTTP on this machine, with faults on request. */
export interface FileServer extends AsyncDisposable {
  readonly uri: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** Files whose path matches are sent to their half, and then nothing comes any more; undefined: all are whole. */
  stallAt: RegExp | undefined;
}

export async function serveFiles(directory: string): Promise<FileServer> {
  const requests: string[] = [];
  const state: { stallAt: RegExp | undefined } = { stallAt: undefined };
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    void answer({ request, response, directory, stallAt: state.stallAt });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    uri: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  });
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly directory: string;
  readonly stallAt: RegExp | undefined;
}

async function answer({ request, response, directory, stallAt }: Exchange): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  try {
    const file = join(directory, path);
    if (stallAt?.test(path) === true) {
      const { size } = await stat(file);
      response.writeHead(200, { 'content-length': size });
      response.write((await readFile(file)).subarray(0, size >> 1));
      return;
    }
    const modified = new Date(Math.floor((await stat(file)).mtimeMs / 1000) * 1000);
    const since = Date.parse(request.headers['if-modified-since'] ?? '');
    if (modified.getTime() <= since) {
      response.writeHead(304).end();
      return;
    }
    const data = await readFile(file);
    response.writeHead(200, { 'content-length': data.length, 'last-modified': modified.toUTCString() });
    response.end(data);
  } catch (error) {
    response.writeHead(isErrno(error, 'ENOENT', 'EISDIR') ? 404 : 500).end();
  }
}
