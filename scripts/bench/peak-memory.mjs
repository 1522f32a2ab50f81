// `node peak-memory.mjs COMMAND`: runs a shell command and prints the most memory, in bytes, that it and all processes it
// started had at one time (proportional set sizes, looked at five times a second).
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

const child = spawn('sh', ['-c', process.argv[2] ?? 'true'], { stdio: 'ignore' });
let peak = 0;
const timer = setInterval(() => {
  peak = Math.max(peak, memoryOf(descendants(child.pid ?? 0)));
}, 200);
child.on('exit', (code) => {
  clearInterval(timer);
  process.stdout.write(`${peak}\n`);
  process.exitCode = code ?? 1;
});

/** @param {number} root */
function descendants(root) {
  /** @type {Map<number, number[]>} */
  const children = new Map();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = Number(read(`/proc/${name}/stat`).split(') ').at(-1)?.split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** @param {readonly number[]} pids */
function memoryOf(pids) {
  const sizes = pids.map((pid) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return sizes.reduce((sum, size) => sum + size, 0) * 1024;
}

/** Processes end while they are looked at. @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
