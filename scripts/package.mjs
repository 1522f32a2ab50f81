// `npm run package`: writes mkimg_VERSION_all.deb into the working directory, or where --output=DIRECTORY says. The same
// sources and programs give the same bytes. --version=VERSION gives it another version than package.json has, --no-build
// takes the program as it was built before.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { projectDirectory, run } from './setup.mjs';

const { values } = parseArgs({
  options: {
    output: { type: 'string', default: '.' },
    version: { type: 'string' },
    'no-build': { type: 'boolean', default: false },
  },
});
const manifest = JSON.parse(textOf('package.json'));
const version = values.version ?? manifest.version;
const product = 'usr/lib/mkimg';

const stage = mkdtempSync(join(tmpdir(), 'mkimg-package-'));
try {
  chmodSync(stage, 0o755);
  if (!values['no-build']) run('npm', ['run', '--silent', 'build']);
  placeProgram();
  placeDocumentation();
  placeCompletions();
  placeHooks();
  placeControl();
  console.log(pack());
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** @param {string} path below the project */
function textOf(path) {
  return readFileSync(join(projectDirectory, path), 'utf8');
}

/**
 * @param {string} path below the root of the package
 * @param {string | Buffer} content
 * @param {number} [mode]
 */
function place(path, content, mode = 0o644) {
  const file = join(stage, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

/** @param {string} path @param {string} source below packaging/debian @param {number} [mode] */
function placeFilled(path, source, mode) {
  place(path, textOf(`packaging/debian/${source}`).replaceAll('@VERSION@', version), mode);
}

/** @param {string} path @param {string} text */
function placeCompressed(path, text) {
  place(`${path}.gz`, gzipSync(text, { level: 9 }));
}

function placeProgram() {
  const launcher = textOf('dist/cli/main.js');
  // The one that the package depends on, whatever else somebody has in his PATH.
  place(`${product}/dist/cli/main.js`, launcher.replace(/^#!.*/, '#!/usr/bin/node'), 0o755);
  for (const name of ['mkimg.cjs', 'mkimg.cache'])
    place(`${product}/dist/cli/${name}`, readFileSync(join(projectDirectory, 'dist/cli', name)));
  const { name, description, license, type } = manifest;
  const own = { name, version, description, license, type };
  place(`${product}/package.json`, `${JSON.stringify(own, undefined, 2)}\n`);
  for (const directory of ['configs', 'drop-ins']) {
    cpSync(join(projectDirectory, directory), join(stage, product, directory), { recursive: true });
  }
  place(`${product}/docs/man/mkimg.1.md`, textOf('docs/man/mkimg.1.md'));
  mkdirSync(join(stage, 'usr/bin'), { recursive: true });
  symlinkSync('../lib/mkimg/dist/cli/main.js', join(stage, 'usr/bin/mkimg'));
}

function placeDocumentation() {
  placeCompressed('usr/share/man/man1/mkimg.1', textOf('docs/man/mkimg.1'));
  placeCompressed('usr/share/man/man8/update-initramfs.8', textOf('packaging/debian/update-initramfs.8'));
  const documentation = 'usr/share/doc/mkimg';
  place(`${documentation}/README.md`, textOf('README.md'));
  for (const name of readdirSync(join(projectDirectory, 'docs'))) {
    if (name.endsWith('.md')) place(`${documentation}/docs/${name}`, textOf(`docs/${name}`));
  }
  placeCompressed(`${documentation}/changelog`, textOf('packaging/debian/changelog'));
  place(`${documentation}/copyright`, copyright());
  place('usr/share/lintian/overrides/mkimg', textOf('packaging/debian/lintian-overrides'));
}

/** The terms of everything that is in the bundle. */
function copyright() {
  /** @type {string[]} */
  const bundled = JSON.parse(textOf('dist/cli/bundled-packages.json'));
  const others = bundled.map((name) => {
    const directory = `node_modules/${name}`;
    const { version: own, license } = JSON.parse(textOf(`${directory}/package.json`));
    const file = readdirSync(join(projectDirectory, directory)).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no file with its licence`);
    return `${name} ${own} (${license}):\n\n${licenceText(license, textOf(`${directory}/${file}`))}\n`;
  });
  const head = textOf('packaging/debian/copyright').replace('@LICENSE@', textOf('LICENSE').trim());
  return [head, ...others].join('\n\n');
}

/** Debian has the text of common licences; what is left is whose rights they are. @param {string} license @param {string} text */
function licenceText(license, text) {
  if (license !== 'Apache-2.0') return text.trim();
  const holders = text.match(/^ *Copyright [\d(].*/gm) ?? [];
  const place = 'On Debian systems, the terms are in /usr/share/common-licenses/Apache-2.0.';
  return [...holders.map((line) => line.trim()), place].join('\n');
}

function placeCompletions() {
  const files = {
    bash: 'usr/share/bash-completion/completions/mkimg',
    fish: 'usr/share/fish/vendor_completions.d/mkimg.fish',
    zsh: 'usr/share/zsh/vendor-completions/_mkimg',
  };
  for (const [shell, path] of Object.entries(files)) {
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(projectDirectory, 'dist/cli/main.js'), 'completion', shell],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`mkimg completion ${shell} failed`);
    place(path, stdout);
  }
}

function placeHooks() {
  for (const name of readdirSync(join(projectDirectory, 'kernel-install.d'))) {
    place(`usr/lib/kernel/install.d/${name}`, textOf(`kernel-install.d/${name}`), 0o755);
  }
  placeFilled('usr/lib/kernel/install.conf.d/50-mkimg.conf', 'install.conf');
  placeFilled('etc/kernel/postinst.d/mkimg', 'kernel/postinst.d-mkimg', 0o755);
  placeFilled('etc/kernel/postrm.d/mkimg', 'kernel/postrm.d-mkimg', 0o755);
  placeFilled('usr/sbin/update-initramfs', 'update-initramfs', 0o755);
}

function placeControl() {
  const files = filesBelow('');
  const sums = files.map((path) => `${md5(path)}  ${path}\n`);
  const size = files.reduce((sum, path) => sum + Math.ceil(lstatSync(join(stage, path)).size / 1024), 0);
  place('DEBIAN/md5sums', sums.join(''));
  place(
    'DEBIAN/conffiles',
    files
      .filter((path) => path.startsWith('etc/'))
      .map((path) => `/${path}\n`)
      .join(''),
  );
  placeFilled('DEBIAN/triggers', 'triggers');
  for (const name of ['postinst', 'postrm']) placeFilled(`DEBIAN/${name}`, name, 0o755);
  place(
    'DEBIAN/control',
    textOf('packaging/debian/control').replace('@VERSION@', version).replace('@SIZE@', String(size)),
  );
}

/** @param {string} path */
function md5(path) {
  return createHash('md5')
    .update(readFileSync(join(stage, path)))
    .digest('hex');
}

/** Regular files below a directory of the package, sorted. @param {string} directory @returns {string[]} */
function filesBelow(directory) {
  return readdirSync(join(stage, directory), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return filesBelow(path);
      return entry.isFile() ? [path] : [];
    })
    .sort();
}

/**
 * Files are readable and directories open to all, whatever umask and checkout made of them, and as old as the last entry of
 * the changelog.
 * @param {number} epoch seconds since 1970
 */
function setModes(epoch) {
  const below = readdirSync(stage, { recursive: true, withFileTypes: true });
  for (const path of [stage, ...below.map((entry) => join(entry.parentPath, entry.name))]) {
    const stats = lstatSync(path);
    if (stats.isDirectory()) chmodSync(path, 0o755);
    else if (stats.isFile()) chmodSync(path, (stats.mode & 0o111) === 0 ? 0o644 : 0o755);
    lutimesSync(path, epoch, epoch);
  }
}

function pack() {
  const date = / -- .*> {2}(.*)/.exec(textOf('packaging/debian/changelog'))?.[1] ?? '';
  const epoch = Date.parse(date) / 1000;
  setModes(epoch);
  const file = join(resolve(values.output), `mkimg_${version}_all.deb`);
  // Several threads would cut the archive into other blocks.
  const argv = ['--root-owner-group', '--threads-max=1', '-Zxz', '--build', stage, file];
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) };
  const { status, stderr } = spawnSync('dpkg-deb', argv, { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`dpkg-deb failed:\n${stderr}`);
  return file;
}
