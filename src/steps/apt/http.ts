import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request as httpRequest } from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { connect as tlsConnect } from 'node:tls';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

const idleMilliseconds = 30_000;
const maximumRedirects = 5;

/** The server answered, but not with the file. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError';
  readonly status: number;

  constructor(status: number, url: URL) {
    super(`${url.host} answers with status ${status}`);
    this.status = status;
  }
}

export interface HttpFile {
  readonly body: IncomingMessage;
  /** Where in the file the body begins: the offset asked for, or 0 when the server does not serve parts. */
  readonly offset: number;
}

export interface HttpFileRequest {
  readonly url: URL;
  readonly offset: number;
  readonly signal: AbortSignal;
}

/** One request of any method. */
export interface HttpExchange {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'MKCOL';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string | number>>;
  /** What is sent along; `headers` says how long it is. */
  readonly body?: Readable;
  readonly signal: AbortSignal;
}

/** Fetches files over HTTP with connections that are used again, through the proxies that the environment names. */
export class HttpClient implements Disposable {
  readonly #environment: Environment;
  readonly #plain = new Agent({ keepAlive: true });
  readonly #tls = new TlsAgent({ keepAlive: true });

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /**
   * Opens a file from `offset` on. The caller has to read the body, or destroy it.
   * @throws HttpStatusError for any answer but the file; errors of the system for network faults.
   */
  async open(request: HttpFileRequest): Promise<HttpFile> {
    let { url } = request;
    for (let redirects = 0; redirects <= maximumRedirects; redirects++) {
      const { offset, signal } = request;
      const range = offset > 0 ? { Range: `bytes=${offset}-` } : {};
      const response = await this.exchange({ method: 'GET', url, headers: range, signal });
      const { statusCode: status = 0, headers } = response;
      if (status === 200) return { body: response, offset: 0 };
      if (status === 206) return { body: response, offset: request.offset };
      response.resume();
      const isRedirect = [301, 302, 303, 307, 308].includes(status) && headers.location !== undefined;
      if (!isRedirect) throw new HttpStatusError(status, url);
      url = new URL(headers.location ?? '', url);
    }
    throw new Error(`${request.url.host} redirects without end`);
  }

  /**
   * Sends one request and returns the answer whatever its status; redirects are not followed. The caller has to read the
   * body, or destroy it.
   * @throws errors of the system for network faults
   */
  async exchange({ method, url, headers: own, body, signal }: HttpExchange): Promise<IncomingMessage> {
    const proxy = proxyFor(url, this.#environment);
    const headers = { 'User-Agent': 'mkimg', ...basicAuthorization('Authorization', url), ...own };
    const common = { method, signal };
    if (url.protocol === 'http:') {
      const route = proxy === undefined ? {} : plainProxyRoute(url, proxy);
      const options = { ...common, agent: this.#plain, ...route, headers: { ...headers, ...route.headers } };
      return sent(httpRequest(url, options), body);
    }
    if (proxy === undefined) {
      return sent(httpsRequest(url, { ...common, agent: this.#tls, headers }), body);
    }
    const tunnel = await openTunnel(url, proxy, signal);
    // A certificate for an address is asked for without a server name (RFC 6066).
    const name = isIP(url.hostname) === 0 ? { servername: url.hostname } : {};
    const createConnection = (): Duplex => tlsConnect({ socket: tunnel, ...name });
    return sent(httpsRequest(url, { ...common, agent: false, createConnection, headers }), body);
  }

  [Symbol.dispose](): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }
}

/**
 * The proxy that the environment names for an address: `http_proxy`, `https_proxy`, else `all_proxy`, in lower or upper
 * case (not HTTP_PROXY, which a web server may have set from a request), unless `no_proxy` excludes the host.
 */
export function proxyFor(url: URL, environment: Environment): URL | undefined {
  const kind = url.protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy'];
  const text = [...kind, 'all_proxy', 'ALL_PROXY'].map((name) => environment[name]).find(Boolean);
  if (text === undefined || isExcluded(url.hostname, environment['no_proxy'] ?? environment['NO_PROXY'])) {
    return undefined;
  }
  return new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
}

function isExcluded(host: string, list: string | undefined): boolean {
  return (list ?? '')
    .split(',')
    .map((entry) => entry.trim().replace(/^\*?\./, ''))
    .some((entry) => entry === '*' || (entry !== '' && (host === entry || host.endsWith(`.${entry}`))));
}

interface ProxyRoute {
  readonly hostname?: string;
  readonly port?: number;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Plain HTTP asks the proxy for the whole address. */
function plainProxyRoute(url: URL, proxy: URL): ProxyRoute {
  return {
    ...proxyEndpoint(proxy),
    path: url.href,
    headers: { Host: url.host, ...basicAuthorization('Proxy-Authorization', proxy) },
  };
}

function proxyEndpoint(proxy: URL): { hostname: string; port: number } {
  if (proxy.protocol !== 'http:')
    throw new Error(`cannot use the proxy ${proxy.origin}: only http:// is known`);
  return { hostname: proxy.hostname, port: Number(proxy.port === '' ? 80 : proxy.port) };
}

function openTunnel(url: URL, proxy: URL, signal: AbortSignal): Promise<Duplex> {
  const target = `${url.hostname}:${url.port === '' ? 443 : url.port}`;
  const headers = { Host: target, ...basicAuthorization('Proxy-Authorization', proxy) };
  const request = httpRequest({ ...proxyEndpoint(proxy), method: 'CONNECT', path: target, headers, signal });
  return new Promise((resolve, reject) => {
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) resolve(socket);
      else reject(new HttpStatusError(response.statusCode ?? 0, proxy));
    });
    request.once('error', reject);
    request.setTimeout(idleMilliseconds, () => request.destroy(new Error(`no answer from ${proxy.host}`)));
    request.end();
  });
}

function basicAuthorization(header: string, { username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { [header]: `Basic ${Buffer.from(text).toString('base64')}` };
}

function sent(request: ClientRequest, body?: Readable): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    // Stays: a connection may also break after the answer has begun, while a body is still being sent.
    request.on('error', reject);
    request.setTimeout(idleMilliseconds, () =>
      request.destroy(new Error(`no data for ${idleMilliseconds / 1000} s`)),
    );
    if (body === undefined) request.end();
    else pipeline(body, request).catch(reject);
  });
}
