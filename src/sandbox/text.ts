/** Text for people: command lines to paste, and lines from programs that may hold anything. */

/** Longest line that is kept, in UTF-16 units; more is cut and marked. */
export const longestLine = 4096;

// Select Graphic Rendition: colours, which tools write even into pipes when a variable tells them to.
const colours = /\u001b\[[0-9;:]*m/g;
// C0 and C1 controls except tab, line separators, and the marks that reorder text on the screen.
const unsafe = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Makes a line safe to print: colours are dropped, other control characters (which could move the cursor, change the
 * title or hide text) are written as `\x1b`, and a line longer than {@link longestLine} is cut.
 */
export function printable(line: string): string {
  const cut = line.length > longestLine ? `${line.slice(0, longestLine)}…` : line;
  return cut.replace(colours, '').replace(unsafe, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}

/**
 * One line for a POSIX shell that runs this argv. Words with characters that are unsafe to print are written by printf,
 * and lose newlines at their end.
 */
export function shellCommand(argv: readonly string[]): string {
  return argv.map(shellWord).join(' ');
}

function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (word.search(unsafe) === -1) return `'${word.replaceAll("'", `'\\''`)}'`;
  const escaped = Array.from(Buffer.from(word), (byte) =>
    /[\w@+=:,./ -]/.test(String.fromCharCode(byte))
      ? String.fromCharCode(byte)
      : `\\${byte.toString(8).padStart(3, '0')}`,
  );
  return `"$(printf '${escaped.join('')}')"`;
}
