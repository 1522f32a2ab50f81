import type { EventSink } from '../../base/events.ts';
import { MkimgError } from '../../base/errors.ts';
import type { ProgramOutcome, RunProgram } from '../../config/programs.ts';
import { runProgram } from '../../sandbox/process.ts';

/** Runs the programs that a configuration asks for, on the host, as the caller. */
export function configurationPrograms(events: EventSink, signal: AbortSignal): RunProgram {
  return async ({ program, argv, directory, input, environment }): Promise<ProgramOutcome> => {
    try {
      const {
        exitCode,
        signal: ended,
        stdout,
        tail,
      } = await runProgram({
        argv: [program, ...argv],
        env: { ...definedOnly(process.env), ...environment },
        workingDirectory: directory,
        stdout: 'capture',
        ...(input === undefined ? {} : { input }),
        events,
        signal,
      });
      if (exitCode === 0) return { ok: true, output: stdout };
      const how = exitCode === undefined ? `ended by ${ended ?? 'a signal'}` : `exit code ${exitCode}`;
      return { ok: false, reason: [how, ...tail.slice(-1)].join(': ') };
    } catch (error) {
      if (!(error instanceof MkimgError) || error.class === 'interrupted') throw error;
      return { ok: false, reason: error.message };
    }
  };
}

function definedOnly(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
