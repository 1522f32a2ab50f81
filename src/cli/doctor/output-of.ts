import { MkimgError } from '../../base/errors.ts';
import { silentEvents } from '../../base/events.ts';
import { runProgram } from '../../sandbox/process.ts';
import { systemDirectories } from '../../sandbox/lookup.ts';

/** How a program ended, and what it said on both streams. */
export interface Answer {
  readonly exitCode: number | undefined;
  readonly text: string;
}

/** Asks a program of the host; undefined when it cannot be started. */
export async function outputOf(
  argv: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const path = [process.env['PATH'] ?? '', ...systemDirectories].filter((part) => part !== '').join(':');
  try {
    const { exitCode, stdout, tail } = await runProgram({
      argv,
      env: { PATH: path, LANG: 'C.UTF-8' },
      stdout: 'capture',
      events: silentEvents,
      signal,
    });
    return { exitCode, text: [stdout, ...tail].join('\n') };
  } catch (error) {
    if (error instanceof MkimgError && error.class !== 'interrupted') return undefined;
    throw error;
  }
}

/** The first number with dots in it, else the first number. */
export function versionIn(text: string): string {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? /\d+/.exec(text)?.[0] ?? 'version unknown';
}
