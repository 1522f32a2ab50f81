import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { isErrno } from '../../src/base/errors.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { until } from './cli.ts';

/** An nginx with its DAV module that serves a directory of its own for reading and writing, until disposal. */
export interface Nginx extends AsyncDisposable {
  readonly url: string;
  /** The files that it keeps. */
  readonly root: string;
}

export interface NginxOptions {
  /** `NAME:PASSWORD` that every request must bring. */
  readonly credentials?: string;
  /** Refuse PUT. */
  readonly readOnly?: boolean;
}

/** Starts nginx on a free port, below a directory of its own and as nobody's service. */
export async function startNginx(options: NginxOptions = {}): Promise<Nginx> {
  const directory = await temporaryDirectory('/var/tmp', 'test-nginx-');
  await chmod(directory.path, 0o755);
  const program = await nginxProgram(directory.path);
  const root = join(directory.path, 'files');
  await mkdir(root);
  const port = await freePort();
  await writeFile(join(directory.path, 'nginx.conf'), configuration(directory.path, port, options));
  if (options.credentials !== undefined) {
    const [name = '', password = ''] = options.credentials.split(':');
    await writeFile(join(directory.path, 'passwords'), `${name}:{PLAIN}${password}\n`);
  }
  const argv = ['-p', directory.path, '-c', join(directory.path, 'nginx.conf')];
  const child = spawn(program, argv, { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  const url = `http://127.0.0.1:${port}/cache`;
  await until(() => isAnswering(url));
  return {
    url,
    root: join(root, 'cache'),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** The machine's nginx, else that of the package, unpacked and not installed: installing it would start a service. */
async function nginxProgram(directory: string): Promise<string> {
  const installed = '/usr/sbin/nginx';
  if (existsSync(installed)) return installed;
  for (const name of ['nginx-light', 'nginx']) {
    const target = join(directory, name);
    await mkdir(target);
    const downloaded = spawnSync('apt-get', ['download', '--quiet', name], { cwd: target });
    if (downloaded.status !== 0) continue;
    const [deb = ''] = await readdir(target);
    spawnSync('dpkg-deb', ['--extract', deb, '.'], { cwd: target });
    const program = join(target, 'usr/sbin/nginx');
    if (existsSync(program)) return program;
  }
  throw new Error('there is no nginx, and none can be downloaded with apt-get');
}

function configuration(directory: string, port: number, { credentials, readOnly }: NginxOptions): string {
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return [
    'daemon off; master_process off;',
    `pid ${directory}/pid; error_log ${directory}/error.log;`,
    'events { worker_connections 64; }',
    'http {',
    '  access_log off; client_max_body_size 0;',
    ...places.map((name) => `  ${name}_temp_path ${directory}/${name};`),
    `  server { listen 127.0.0.1:${port}; root ${directory}/files;`,
    ...(readOnly === true ? [] : ['    dav_methods PUT MKCOL; create_full_put_path on;']),
    ...(credentials === undefined
      ? []
      : [`    auth_basic cache; auth_basic_user_file ${directory}/passwords;`]),
    '  }',
    '}',
    '',
  ].join('\n');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

async function isAnswering(url: string): Promise<boolean> {
  try {
    await fetch(url);
    return true;
  } catch (error) {
    if (error instanceof TypeError || isErrno(error, 'ECONNREFUSED')) return false;
    throw error;
  }
}
