import { isErrno } from '../base/errors.ts';

/** What a machine on the terminal has to know about it. */
export interface TerminalShape {
  readonly type: string;
  readonly columns: number;
  readonly rows: number;
}

/** undefined when standard output is no terminal. */
export function terminalShape(): TerminalShape | undefined {
  const output = process.stdout;
  if (!output.isTTY) return undefined;
  return { type: process.env['TERM'] ?? 'vt220', columns: output.columns, rows: output.rows };
}

/**
 * Hands over each key of the terminal, or what else comes by standard input, until the end of the scope. A terminal hands
 * over Ctrl-C and the like as well; it is set back as it was however the scope ends.
 */
export function takeKeys(onKeys: (keys: Buffer) => void): Disposable {
  const input = process.stdin;
  const ignore = (): void => undefined;
  setRawMode(true);
  input.on('error', ignore);
  input.on('data', onKeys);
  return {
    [Symbol.dispose]: () => {
      input.off('data', onKeys);
      input.off('error', ignore);
      // Whoever reads no more must not keep this process alive.
      input.pause();
      input.unref();
      leaveRawMode();
    },
  };
}

/** Sets the terminal back, also where the scope that keeps it will not come to its end. */
export function leaveRawMode(): void {
  setRawMode(false);
}

function setRawMode(isRaw: boolean): void {
  if (!process.stdin.isTTY) return;
  try {
    process.stdin.setRawMode(isRaw);
  } catch (error) {
    // The terminal was closed.
    if (!isErrno(error, 'EIO', 'EBADF', 'ENOTTY')) throw error;
  }
}

const modeSwitch = /\u001b\[\?1049([hl])/g;

/** Undoes what a guest that was cut off may have left behind on a terminal. */
export class ScreenKeeper implements Disposable {
  private isAlternate = false;

  /** Called with all that the terminal shows. */
  watch(shown: Buffer): void {
    const last = [...shown.toString('latin1').matchAll(modeSwitch)].at(-1);
    if (last !== undefined) this.isAlternate = last[1] === 'h';
  }

  /** Sequences that set a terminal of the kind of xterm back: screen, line wrap, cursor, mouse and paste reports, colours. */
  sequences(): string {
    const screen = this.isAlternate ? '\u001b[?1049l' : '';
    return `${screen}\u001b[?7h\u001b[?25h\u001b[?1000l\u001b[?1006l\u001b[?2004l\u001b[0m`;
  }

  [Symbol.dispose](): void {
    if (process.stdout.isTTY) process.stdout.write(this.sequences());
  }
}
