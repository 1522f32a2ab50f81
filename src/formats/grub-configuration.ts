/** A menu entry. Paths are those of the file system that the configuration is on. */
export interface GrubEntry {
  readonly title: string;
  readonly linux: string;
  readonly initrd: string;
}

/** Bytes that whoever boots the disk may set without changing the length of the configuration. */
export const commandLineSpace = 1536;

/** In front of the words that are added to each kernel command line. */
const spaceBegin = "set more='";
const spaceEnd = "'\n";

/**
 * A grub.cfg that boots the first entry at once; Escape or Shift shows the others. Its variable `more` is blank and has room
 * for further words of the kernel command line, which boot tests write into a copy of the disk.
 */
export function grubConfiguration(entries: readonly GrubEntry[], commandLine: readonly string[]): string {
  const words = commandLine.map(grubWord).join(' ');
  return [
    'set timeout=0\n',
    'set timeout_style=hidden\n',
    `${spaceBegin}${' '.repeat(commandLineSpace)}${spaceEnd}`,
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

/** Where the room for further words begins in a configuration; undefined where it has none. */
export function findCommandLineSpace(text: Buffer): number | undefined {
  const begin = text.indexOf(`${spaceBegin}${' '.repeat(commandLineSpace)}${spaceEnd}`);
  return begin < 0 ? undefined : begin + spaceBegin.length;
}
