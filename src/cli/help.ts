import type { FlagRow } from '../config/settings/flags.ts';
import { globalFlags } from './arguments.ts';
import type { Verb } from './verb.ts';

const summaryColumn = 36;

/** The text of `mkimg --help`, or of `mkimg VERB --help`. */
export function helpText(verbs: readonly Verb[], flags: readonly FlagRow[], verb: Verb | undefined): string {
  const lines = verb === undefined ? generalHelp(verbs, flags) : verbHelp(verb);
  return `${lines.join('\n')}\n`;
}

function verbHelp(verb: Verb): string[] {
  const options = verb.options.map(({ name, takesValue, summary }) =>
    row(`--${name}${takesValue ? '=VALUE' : ''}`, summary),
  );
  return [
    `Usage: mkimg ${verb.name} [FLAGS] [-- ARGUMENTS]`,
    '',
    verb.summary,
    ...(options.length === 0 ? [] : ['', 'Options:', ...options]),
    '',
    "See 'mkimg --help' for the settings that every verb takes.",
  ];
}

function generalHelp(verbs: readonly Verb[], flags: readonly FlagRow[]): string[] {
  const sections = [...new Set(flags.map(({ section }) => section))];
  return [
    'Usage: mkimg [FLAGS] [VERB] [FLAGS] [-- ARGUMENTS]',
    '',
    'Verbs:',
    ...verbs.map(({ name, summary }) => row(name, summary)),
    '',
    'General:',
    ...globalFlags.map((flag) => row(names(flag), flag.summary)),
    ...sections.flatMap((section) => [
      '',
      `[${section}] settings:`,
      ...flags
        .filter((flag) => flag.section === section)
        .map((flag) => row(settingNames(flag), flag.summary)),
    ]),
  ];
}

function names(flag: { long: string; short?: string; takesValue: boolean }): string {
  const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
  return `${short}--${flag.long}${flag.takesValue ? '=VALUE' : ''}`;
}

function settingNames({ long, short, shorthand, bare }: FlagRow): string {
  const letter = short ?? shorthand?.letter;
  return `${letter === undefined ? '    ' : `-${letter}, `}--${long}${bare === undefined ? '=VALUE' : '[=VALUE]'}`;
}

function row(left: string, right: string): string {
  return left.length + 4 > summaryColumn
    ? `  ${left}\n${' '.repeat(summaryColumn)}${right}`
    : `  ${left.padEnd(summaryColumn - 2)}${right}`;
}
