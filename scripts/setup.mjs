// Makes a fresh clone ready: Debian packages, npm packages, build. Plain JavaScript on purpose, because it runs before
// anything is installed. Used by `npm run demo` and `npm test`.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectDirectory = dirname(dirname(fileURLToPath(import.meta.url)));

/** Programs that mkimg needs on the host itself, and the Debian package of each. Everything else is in the tools tree. */
const hostPrograms = {
  'apt-get': 'apt',
  bwrap: 'bubblewrap',
  dpkg: 'dpkg',
  gpgv: 'gpgv',
  mount: 'mount',
  newuidmap: 'uidmap',
  setpriv: 'util-linux',
  tar: 'tar',
  unshare: 'util-linux',
  xz: 'xz-utils',
  zstd: 'zstd',
};
const hostFiles = { '/usr/share/keyrings/debian-archive-keyring.gpg': 'debian-archive-keyring' };

/** Further programs for the tests: independent readers of what mkimg writes, and peers. */
export const testPrograms = {
  cpio: 'cpio',
  fish: 'fish',
  git: 'git',
  gpg: 'gpg',
  'gpg-agent': 'gpg-agent',
  gpgconf: 'gpgconf',
  mandoc: 'mandoc',
  mmdebstrap: 'mmdebstrap',
  openssl: 'openssl',
  pacman: 'pacman-package-manager',
  rpm: 'rpm',
  rpmbuild: 'rpm',
  script: 'bsdutils',
  sfdisk: 'fdisk',
  shellcheck: 'shellcheck',
  'ssh-keygen': 'openssh-client',
  zsh: 'zsh',
};

/** @param {string} message @returns {never} */
function stop(message) {
  console.error(message);
  process.exit(2);
}

/** @param {string} program */
function isInstalled(program) {
  const path = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  return path.some((directory) => existsSync(join(directory, program)));
}

/** @param {string} command @param {string[]} argv @param {NodeJS.ProcessEnv} [env] */
export function run(command, argv, env = process.env) {
  const result = spawnSync(command, argv, { cwd: projectDirectory, stdio: 'inherit', env });
  if (result.error !== undefined) stop(`setup: cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) stop(`setup: ${command} ${argv.join(' ')} failed`);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    stop(`mkimg needs Node 20.19 or newer; this is ${process.versions.node}`);
}

/** @param {Record<string, string>} programs */
function installPrograms(programs) {
  const missing = new Set([
    ...Object.entries(programs)
      .filter(([program]) => !isInstalled(program))
      .map(([, name]) => name),
    ...Object.entries(hostFiles)
      .filter(([file]) => !existsSync(file))
      .map(([, name]) => name),
  ]);
  if (missing.size === 0) return;
  const names = [...missing].sort();
  if (process.getuid?.() !== 0) {
    stop(
      `Debian packages are missing. Install them, then try again:\n\n  sudo apt-get install --yes ${names.join(' ')}\n`,
    );
  }
  console.error(`setup: installing ${names.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '--quiet', '--quiet'], env);
  run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...names], env);
}

function installModules() {
  const installed = join(projectDirectory, 'node_modules/.package-lock.json');
  const lock = join(projectDirectory, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.error('setup: installing npm packages');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** @param {Record<string, string>} [furtherPrograms] */
export function setUp(furtherPrograms = {}) {
  checkNode();
  const system = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  if (!/^ID(_LIKE)?=.*debian/m.test(system)) {
    console.error(
      'setup: this is not Debian; install bubblewrap, uidmap, util-linux, tar, xz, zstd, apt and dpkg yourself',
    );
  } else {
    installPrograms({ ...hostPrograms, ...furtherPrograms });
  }
  installModules();
  run('npm', ['run', '--silent', 'build']);
}
