/** What a machine on the terminal has to know about it. */
export interface TerminalShape {
  readonly type: string;
  readonly columns: number;
  readonly rows: number;
}

/**
 * Hands the keyboard over, key by key, to a program that shares the terminal, until the end of the scope. QEMU sets the
 * terminal up by itself, but one that is killed leaves it as it is. No effect without a terminal.
 */
export function rawTerminal(): Disposable {
  const input = process.stdin;
  if (!input.isTTY) return { [Symbol.dispose]: () => undefined };
  input.setRawMode(true);
  return { [Symbol.dispose]: () => void input.setRawMode(false) };
}

/** undefined when standard output is no terminal. */
export function terminalShape(): TerminalShape | undefined {
  const output = process.stdout;
  if (!output.isTTY) return undefined;
  return { type: process.env['TERM'] ?? 'vt220', columns: output.columns, rows: output.rows };
}
