/** What an initrd needs of crypttab(5). */
export interface InitrdCrypttab {
  /** The lines of volumes that are unlocked in the initrd, as they stand. */
  readonly text: string;
  /** Absolute paths of key files and detached headers that these lines name, in the order of the lines. */
  readonly files: readonly string[];
  /** Where systemd looks for the key of a volume that names none: below /etc/cryptsetup-keys.d and /run. */
  readonly conventional: readonly string[];
}

const attachOption = 'x-initrd.attach';

/**
 * Keeps the lines of crypttab that have the option `x-initrd.attach`. Key files on another device (`/key:UUID=...`), on
 * sockets and devices (`/dev/urandom`, `/run/...`) stay where they are.
 */
export function initrdCrypttab(text: string): InitrdCrypttab {
  const lines = text.split('\n').filter((line) => optionsOf(line).includes(attachOption));
  const files: string[] = [];
  const conventional: string[] = [];
  for (const line of lines) {
    const [name = '', , key = ''] = fieldsOf(line);
    if (isOwnFile(key)) files.push(unescaped(key));
    else if (key === '' || key === 'none' || key === '-') {
      if (!name.includes('/')) conventional.push(`/etc/cryptsetup-keys.d/${unescaped(name)}.key`);
    }
    for (const option of optionsOf(line)) {
      const header = option.startsWith('header=') ? option.slice('header='.length) : '';
      if (isOwnFile(header)) files.push(unescaped(header));
    }
  }
  return {
    text: lines.map((line) => `${line.trimEnd()}\n`).join(''),
    files: [...new Set(files)],
    conventional: [...new Set(conventional)],
  };
}

function fieldsOf(line: string): readonly string[] {
  const trimmed = line.trim();
  return trimmed === '' || trimmed.startsWith('#') ? [] : trimmed.split(/\s+/);
}

function optionsOf(line: string): readonly string[] {
  return (fieldsOf(line)[3] ?? '').split(',');
}

/** A file of this system that can be copied. */
function isOwnFile(path: string): boolean {
  if (!path.startsWith('/') || path.split('/').includes('..')) return false;
  if (path.includes(':')) return false;
  return !/^\/(?:dev|run|proc|sys)\//.test(path);
}

/** fstab's way to write blanks in a field (`\040`). */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
