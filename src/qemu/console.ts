/** Reads a guest's serial console as lines of text. */

/** Longest line that is kept, in UTF-16 units. */
const longestLine = 4096;

// CSI, OSC and two-character sequences of ECMA-48.
const controlSequences =
  /\u001b(?:\[[0-?]*[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-Z\\^-~])/g;

const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * Text without control sequences. Firmware moves the cursor to a row of the screen instead of writing a newline, so
 * that movement counts as one.
 */
export function plainConsoleText(text: string): string {
  return text
    .replace(controlSequences, (_, final: string | undefined) => (final === 'H' || final === 'f' ? '\n' : ''))
    .replace(controls, '');
}

/**
 * Cuts console output into lines. A line that is not finished (`login: `) can be asked for with `unfinished()`; it is
 * handed out again as a whole once it ends.
 */
export class ConsoleLines {
  private readonly onLine: (line: string) => void;
  private readonly decoder = new TextDecoder();
  private pending = '';

  constructor(onLine: (line: string) => void) {
    this.onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    const text = this.decoder.decode(chunk, { stream: true });
    this.pending += text;
    // Serial ports hand over a byte at a time: most of them are looked at only here.
    if (!text.includes('\n') && this.pending.length < longestLine) return;
    // A control sequence that is cut in two stays behind until its end has come.
    const end = this.pending.lastIndexOf('\n') + 1;
    const cut = end === 0 ? this.pending.length : end;
    const complete = this.pending.slice(0, cut);
    this.pending = this.pending.slice(cut);
    for (const line of plainConsoleText(complete).split('\n')) this.emit(line);
  }

  /** The text after the last newline, without control sequences. */
  unfinished(): string {
    return plainConsoleText(this.pending).slice(0, longestLine);
  }

  private emit(line: string): void {
    const text = line.trimEnd();
    if (text !== '') this.onLine(text.slice(0, longestLine));
  }
}
