import { readFileSync, readlinkSync } from 'node:fs';
import { isErrno } from './errors.ts';

/**
 * Who made a lock or a staging directory. Process ids come back after a reboot and after a wrap-around, so the time a
 * process started and the boot are part of its name; in another pid namespace the number means another process.
 */
export interface Owner {
  readonly pid: number;
  /** Start time in clock ticks after boot: field 22 of proc_pid_stat(5). */
  readonly start: string;
  /** First 8 digits of /proc/sys/kernel/random/boot_id. */
  readonly boot: string;
  /** Inode number of the pid namespace. */
  readonly pidNamespace: string;
}

/** This process. */
export function currentOwner(): Owner {
  return {
    pid: process.pid,
    start: startTime(process.pid) ?? '0',
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8),
    pidNamespace: /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0',
  };
}

/** A form that fits into a file name. */
export function formatOwner(owner: Owner): string {
  return [owner.pid, owner.start, owner.boot, owner.pidNamespace].join('-');
}

/** Reads what formatOwner() wrote, at the start of `text`; undefined for anything else. */
export function parseOwner(text: string): Owner | undefined {
  const found = /^(\d{1,10})-(\d{1,20})-([0-9a-f]{8})-(\d{1,20})(?:\.|$)/.exec(text.trim());
  if (found === null) return undefined;
  const [, pid = '', start = '', boot = '', pidNamespace = ''] = found;
  return { pid: Number(pid), start, boot, pidNamespace };
}

const day = 24 * 60 * 60 * 1000;

/**
 * True while the process lives. One in another pid namespace (a container that shares the cache) cannot be looked up:
 * it counts as alive for `trust` milliseconds, a day unless said otherwise, after `since` (milliseconds since the epoch).
 */
export function isAlive(owner: Owner, since: number, trust: number = day): boolean {
  const here = currentOwner();
  if (owner.boot !== here.boot) return false;
  if (owner.pidNamespace !== here.pidNamespace) return Math.abs(Date.now() - since) < trust;
  if (!processExists(owner.pid)) return false;
  const start = startTime(owner.pid);
  // /proc mounted with hidepid= shows nothing of other users' processes.
  return start === undefined || start === owner.start;
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
}

/** undefined when it cannot be read; `dead` for a zombie, which may stay for ever where nobody waits for it. */
function startTime(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The program's name stands in parentheses and may itself hold blanks and parentheses.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return /[ZX]/.test(fields[0] ?? '') ? 'dead' : fields[19];
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined;
    throw error;
  }
}
