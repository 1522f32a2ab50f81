/** A menu entry. Paths are those of the file system that the configuration is on. */
export interface GrubEntry {
  readonly title: string;
  readonly linux: string;
  readonly initrd: string;
}

/** Bytes that whoever boots the disk may set without changing the length of the configuration. */
export const commandLineSpaceBytes = 1536;

/** In front of the words that are added to each kernel command line. */
const spaceBegin = "set more='";
const spaceEnd = "'\n";

/**
 * A grub.cfg that boots the first entry at once; Escape or Shift shows the others. Its variable `more` is blank and has room
 * for further words of the kernel command line, which are written into copies of the disk.
 */
export function grubConfiguration(entries: readonly GrubEntry[], commandLine: readonly string[]): string {
  const words = commandLine.map(grubWord).join(' ');
  return [
    'set timeout=0\n',
    'set timeout_style=hidden\n',
    `${spaceBegin}${' '.repeat(commandLineSpaceBytes)}${spaceEnd}`,
    ...entries.map(
      ({ title, linux, initrd }) =>
        `menuentry ${grubWord(title)} {\n  linux ${grubWord(linux)} ${words} $more\n  initrd ${grubWord(initrd)}\n}\n`,
    ),
  ].join('');
}

/**
 * One word of GRUB's language. Double quotes inside go: GRUB itself puts them around an argument with blanks when it hands
 * the arguments to the kernel.
 */
function grubWord(word: string): string {
  const plain = word.replaceAll('"', '');
  return /^[\w.,:=/@%+-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", "'\\''")}'`;
}

/** Room for further words in a configuration. */
export interface CommandLineSpace {
  /** Where it begins. */
  readonly offset: number;
  /** Bytes of the longest command line without it. */
  readonly ownBytes: number;
}

/** Finds it, whatever stands there now; undefined where there is none. */
export function findCommandLineSpace(text: Buffer): CommandLineSpace | undefined {
  for (let at = 0; ; at += 1) {
    at = text.indexOf(spaceBegin, at);
    if (at < 0) return undefined;
    const offset = at + spaceBegin.length;
    const end = offset + commandLineSpaceBytes;
    if (text.toString('latin1', end, end + spaceEnd.length) !== spaceEnd) continue;
    // Entries end at the first byte that no text has.
    const rest = text.subarray(end + spaceEnd.length);
    const entries = rest.subarray(0, rest.includes(0) ? rest.indexOf(0) : rest.length).toString('latin1');
    const lines = [...entries.matchAll(/^ {2}linux (?:'[^']*'|\S+) (.*)\$more$/gm)].map(
      ([, words = '']) => words.length,
    );
    return { offset, ownBytes: Math.max(0, ...lines) };
  }
}
