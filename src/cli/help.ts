import { ConfigurationError } from '../base/errors.ts';
import { closest } from '../base/suggestion.ts';
import type { FlagRow } from '../config/settings/flags.ts';
import { flagRows } from '../config/settings/table.ts';
import { globalFlags } from './arguments.ts';
import { verbUsage } from './documentation/verb-reference.ts';
import type { Verb } from './verb.ts';

const summaryColumn = 36;

/** `verbs` are those of the whole program, this one included. */
export function helpVerb(verbs: () => readonly Verb[]): Verb {
  return {
    name: 'help',
    summary: 'Show the verbs and flags in short, or those of one verb',
    doc: 'Prints what `--help` prints; `mkimg documentation` has more to say.',
    answers: true,
    words: { usage: '[VERB]', choices: () => verbs().map(({ name }) => name) },
    options: [],
    run: (context) => {
      const [name] = context.words;
      context.print(helpText(verbs(), flagRows, name === undefined ? undefined : verbNamed(name, verbs())));
      return Promise.resolve(0);
    },
  };
}

function verbNamed(name: string, verbs: readonly Verb[]): Verb {
  const found = verbs.find((verb) => verb.name === name || verb.aliases?.includes(name) === true);
  if (found !== undefined) return found;
  const near = closest(
    name,
    verbs.map((verb) => verb.name),
  );
  const hint = near === undefined ? "'mkimg help' lists them." : `Did you mean '${near}'?`;
  throw new ConfigurationError([
    { severity: 'error', code: 'unknown-verb', message: `unknown verb '${name}'`, hint },
  ]);
}

/** The text of `mkimg --help`, or of `mkimg VERB --help`. */
export function helpText(verbs: readonly Verb[], flags: readonly FlagRow[], verb: Verb | undefined): string {
  const lines = verb === undefined ? generalHelp(verbs, flags) : verbHelp(verb);
  return `${lines.join('\n')}\n`;
}

function verbHelp(verb: Verb): string[] {
  const options = verb.options.map(({ name, short, takesValue, summary }) =>
    row(`${short === undefined ? '' : `-${short}, `}--${name}${takesValue ? '=VALUE' : ''}`, summary),
  );
  return [
    `Usage: ${verbUsage(verb)} [FLAGS] [-- ARGUMENTS]`,
    '',
    verb.summary,
    ...(options.length === 0 ? [] : ['', 'Options:', ...options]),
    '',
    `See 'mkimg documentation ${verb.name}' for more, and 'mkimg --help' for the settings that every verb takes.`,
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
