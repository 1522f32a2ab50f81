import type { CommandLineAssignment } from './assignments.ts';
import { findSetting } from './settings/table.ts';

/** What the command line of a build said, for the verbs that use what it built. */
export interface BuildHistory {
  readonly assignments: readonly CommandLineAssignment[];
}

/** Where it is kept, below the configuration directory. */
export const historyPath = '.mkimg-private/history/latest.json';

/** The text to keep. Secrets are left out: who gave a password on the command line gives it again. */
export function historyText(assignments: readonly CommandLineAssignment[]): string {
  const kept = assignments.filter(({ setting }) => {
    const row = findSetting(setting);
    return row !== undefined && row.setting.codec.redact === undefined && belongsToBuild(setting);
  });
  const lines = kept.map(({ setting, text }) => ({ setting, text }));
  return `${JSON.stringify({ version: 1, assignments: lines }, undefined, 2)}\n`;
}

/** Reads such a text; undefined when it is none. Settings that are not known any more are left out. */
export function parseHistory(text: string): BuildHistory | undefined {
  const json = parsed(text);
  if (typeof json !== 'object' || json === null || !('assignments' in json)) return undefined;
  if (!Array.isArray(json.assignments)) return undefined;
  const assignments = (json.assignments as readonly unknown[]).filter(isKept);
  return {
    assignments: assignments.map(({ setting, text: value }) => ({
      setting,
      text: value,
      flag: `the last build (${setting}=${value})`,
    })),
  };
}

/**
 * The command line of a verb that uses a finished image: what the build was given, and what belongs to running. `ignored` was
 * given now and would make another image.
 */
export function withHistory(
  history: BuildHistory,
  given: readonly CommandLineAssignment[],
): {
  readonly assignments: readonly CommandLineAssignment[];
  readonly ignored: readonly CommandLineAssignment[];
} {
  const built = new Set(history.assignments.map(({ setting }) => setting));
  const isIgnored = ({ setting, text }: CommandLineAssignment): boolean =>
    built.has(setting) && !history.assignments.some((kept) => kept.setting === setting && kept.text === text);
  const others = given.filter(({ setting }) => !built.has(setting));
  return { assignments: [...history.assignments, ...others], ignored: given.filter(isIgnored) };
}

function belongsToBuild(setting: string): boolean {
  const section = findSetting(setting)?.section;
  return setting !== 'Include' && section !== undefined && section !== 'Runtime';
}

function isKept(entry: unknown): entry is { readonly setting: string; readonly text: string } {
  return (
    typeof entry === 'object' &&
    entry !== null &&
    'setting' in entry &&
    'text' in entry &&
    typeof entry.setting === 'string' &&
    typeof entry.text === 'string' &&
    belongsToBuild(entry.setting)
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
