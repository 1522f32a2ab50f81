// How the time for a tree grows with the number of its packages, next to what physics asks for: decompressing the same
// packages on all processors, and writing the same bytes. Draws docs/performance.svg.
import { statSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { projectDirectory } from '../setup.mjs';
import { measure } from './common.mjs';
import {
  build,
  directory,
  forgetParts,
  lastResolved,
  packageFile,
  quiet,
  writeProject,
} from './projects.mjs';

const small = 'systemd-sysv udev dbus kmod'.split(' ');
const medium = 'build-essential git python3-dev vim gdb cmake openssh-server qemu-utils qtbase5-dev'.split(
  ' ',
);
const large =
  'libgtk-3-dev default-jdk xfce4 libreoffice-core-nogui ffmpeg texlive-latex-base gimp inkscape wordpress gnome-shell'.split(
    ' ',
  );
const sizes = [small, [...small, ...medium], [...small, ...medium, ...large]];

/** @typedef {{ packages: number, seconds: number, unpacked: number, decompress: number, write: number }} Point */

/** @param {number} runs */
export function benchGrowth(runs) {
  const points = sizes.map((names, index) => measureSize(`growth-${index}`, names, runs));
  console.log('\npackages   from scratch   unpacked before   decompress   write');
  for (const { packages, seconds, unpacked, decompress, write } of points) {
    const columns = [seconds, unpacked, decompress, write].map((value) => value.toFixed(2).padStart(12));
    console.log(`${String(packages).padStart(8)} ${columns.join(' ')}`);
  }
  writeFileSync(join(projectDirectory, 'docs/performance.svg'), plot(points));
}

/** @param {string} name @param {readonly string[]} packages @param {number} runs @returns {Point} */
function measureSize(name, packages, runs) {
  const project = writeProject(name, { Format: 'tar', CompressOutput: 'none', Packages: packages.join(' ') });
  quiet(build(project, '-ff'));
  const resolved = lastResolved();
  const bytes = statSync(join(`${project}.out`, 'image.tar')).size;
  const list = join(directory, 'debs.list');
  writeFileSync(list, resolved.map(({ sha256 }) => `${packageFile(sha256)}\n`).join(''));
  const decompress = `xargs -P ${cpus().length} -n 4 sh -c 'for f; do dpkg-deb --fsys-tarfile "$f"; done >/dev/null' sh <${list}`;
  const write = `sh -c 'head -c ${bytes} /dev/zero >${join(directory, 'bytes')}; sync ${join(directory, 'bytes')}; rm ${join(directory, 'bytes')}'`;
  const best = (/** @type {string} */ what, /** @type {string} */ command, before = () => {}) => {
    const seconds = Array.from({ length: runs }, () => {
      before();
      return measure(`${resolved.length}, ${what}`, command);
    });
    return Math.min(...seconds);
  };
  return {
    packages: resolved.length,
    seconds: best('from scratch', build(project, '-ff'), forgetParts),
    unpacked: best('unpacked before', build(project, '-ff')),
    decompress: best('decompress', decompress),
    write: best('write', write),
  };
}

const size = { width: 720, height: 420, left: 60, right: 190, top: 20, bottom: 50 };
const lines = /** @type {const} */ ([
  ['seconds', 'from scratch', '#1f5fa8'],
  ['unpacked', 'packages unpacked before', '#3f9f5f'],
  ['decompress', 'limit: decompress', '#b0622a'],
  ['write', 'limit: write', '#888888'],
]);

/** @param {readonly Point[]} points */
function plot(points) {
  const most = { packages: Math.max(...points.map((point) => point.packages)), seconds: 0 };
  for (const [key] of lines) most.seconds = Math.max(most.seconds, ...points.map((point) => point[key]));
  const x = (/** @type {number} */ value) =>
    size.left + (value / most.packages) * (size.width - size.left - size.right);
  const y = (/** @type {number} */ value) =>
    size.height - size.bottom - (value / most.seconds) * (size.height - size.top - size.bottom);
  const paths = lines.map(([key, title, colour], index) => {
    const spots = points.map((point) => `${x(point.packages).toFixed(1)},${y(point[key]).toFixed(1)}`);
    const textY = size.top + 20 + index * 20;
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${spots.join(' ')}"/>`,
      `<text x="${size.width - size.right + 15}" y="${textY}" fill="${colour}">${title}</text>`,
    ].join('\n');
  });
  const marks = points.map(
    ({ packages, seconds }) =>
      `<text x="${x(packages)}" y="${size.height - size.bottom + 18}" text-anchor="middle">${packages}</text>` +
      `<text x="${x(packages)}" y="${y(seconds) - 8}" text-anchor="middle">${seconds.toFixed(1)}</text>`,
  );
  const [bottom, right] = [size.height - size.bottom, size.width - size.right];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="white"/>',
    `<path d="M${size.left} ${size.top} V${bottom} H${right}" fill="none" stroke="black"/>`,
    `<text x="${(size.left + right) / 2}" y="${size.height - 12}" text-anchor="middle">packages</text>`,
    `<text x="16" y="${size.height / 2}" transform="rotate(-90 16 ${size.height / 2})" text-anchor="middle">seconds</text>`,
    ...paths,
    ...marks,
    '</svg>',
    '',
  ].join('\n');
}
