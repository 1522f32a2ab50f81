import type { Options } from 'yargs';
import yargs from 'yargs';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic, Result } from '../base/diagnostic.ts';
import { fail, ok } from '../base/diagnostic.ts';
import { resolve } from 'node:path';
import { closest } from '../base/suggestion.ts';
import type { FlagRow } from '../config/settings/flags.ts';
import { inTodaysWords } from './older-flags.ts';
import type { FlagAssignment, GlobalOptions, Verb } from './verb.ts';

/** A command line, taken apart. `verb` is absent only for `--version` and for `--help` without a verb. */
export interface Command {
  readonly verb: Verb | undefined;
  readonly assignments: readonly FlagAssignment[];
  readonly options: GlobalOptions;
  readonly words: readonly string[];
  readonly rest: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
  /** Where events are written besides the terminal. */
  readonly eventsFile: string | undefined;
  /** Where a trace of the run is written. */
  readonly traceFile: string | undefined;
}

export interface Grammar {
  readonly verbs: readonly Verb[];
  readonly flags: readonly FlagRow[];
  readonly defaultVerb: string;
  /** What `-C` and its default are relative to. */
  readonly workingDirectory: HostPath;
}

/** Switches that belong to mkimg itself, not to a setting or a verb. */
export const globalFlags = [
  { long: 'directory', short: 'C', takesValue: true, summary: 'Where the configuration is' },
  { long: 'force', short: 'f', takesValue: false, summary: 'Build again although the result exists' },
  { long: 'events', takesValue: true, summary: 'Write events to this file as NDJSON' },
  {
    long: 'trace',
    takesValue: true,
    summary: 'Write the times of steps and tools to this file, for Perfetto',
  },
  { long: 'json', takesValue: false, summary: 'Write results and events as JSON' },
  { long: 'debug', takesValue: false, summary: 'Say more about what goes on' },
  { long: 'help', short: 'h', takesValue: false, summary: 'Show help' },
  { long: 'version', takesValue: false, summary: 'Show the version' },
] as const;

/** yargs must hand over what was typed: no numbers guessed, no dots split, no names bent. */
const plainParsing = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'greedy-arrays': false,
  'nargs-eats-options': true,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'populate--': true,
  'strip-aliased': true,
};

type ParsedFlags = Readonly<Record<string, unknown>>;

/** Takes a command line apart. Flags may stand before and after the verb; faults are found all at once. */
export function parseArguments(argv: readonly string[], grammar: Grammar): Result<Command> {
  const options = declaredOptions(grammar);
  const taking = valueTaking(options);
  const translated = inTodaysWords(argv, grammar.flags, (word) => taking.includes(word));
  const parsed = runYargs(translated.argv, options, grammar);
  if (!parsed.ok) return parsed;
  const flags = parsed.value;
  const words = strings(flags['_']);
  const help = flags['help'] === true;
  const version = flags['version'] === true;
  const faults: Diagnostic[] = [];
  const verb = findVerb(words[0], grammar, help);
  if (!verb.ok) faults.push(...verb.diagnostics);
  faults.push(...unknownFlags(flags, grammar));
  const chosen = verb.ok ? verb.value : undefined;
  faults.push(...foreignOptions(flags, chosen, grammar));
  if (faults.length > 0 && !version) return fail(...faults);
  return ok(
    {
      verb: chosen,
      assignments: grammar.flags.flatMap((row) => assignmentsOf(row, flags)),
      options: globalOptions(flags, grammar),
      words: words.slice(1),
      rest: strings(flags['--']),
      help,
      version,
      eventsFile: strings(flags['events']).at(-1),
      traceFile: strings(flags['trace']).at(-1),
    },
    translated.notes,
  );
}

function declaredOptions(grammar: Grammar): readonly NamedOption[] {
  return [...grammar.flags.flatMap(settingOptions), ...switchOptions(grammar)];
}

function runYargs(
  argv: readonly string[],
  options: readonly NamedOption[],
  grammar: Grammar,
): Result<ParsedFlags> {
  const bare = new Map(
    grammar.flags.flatMap((row) => (row.bare === undefined ? [] : [[row.long, row.bare] as const])),
  );
  const parser = yargs([])
    .help(false)
    .version(false)
    .exitProcess(false)
    .detectLocale(false)
    .parserConfiguration(plainParsing)
    .options(Object.fromEntries(options))
    .fail(false);
  try {
    return ok(parser.parseSync(withBareValues(apart(argv, options), bare)));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const name = /^Not enough arguments following: (.*)$/.exec(error.message)?.[1];
    if (name === undefined) throw error;
    const flag = name.length === 1 ? `-${name}` : `--${name}`;
    return fail(usageFault('flag-needs-value', `${flag} needs a value`, `Write ${flag} VALUE.`));
  }
}

type NamedOption = readonly [name: string, option: Options];

const withValue = { type: 'string', nargs: 1 } as const;

function settingOptions({ long, short, shorthand }: FlagRow): NamedOption[] {
  const option: NamedOption = [long, { ...withValue, ...(short === undefined ? {} : { alias: short }) }];
  return shorthand === undefined ? [option] : [option, [shorthand.letter, { type: 'boolean' }]];
}

function switchOptions(grammar: Grammar): NamedOption[] {
  const switches = [...globalFlags, ...verbOptions(grammar.verbs)];
  return switches.map((flag): NamedOption => {
    const alias = 'short' in flag ? { alias: flag.short } : {};
    if (flag.long === 'force') return [flag.long, { count: true, ...alias }];
    return [flag.long, { ...(flag.takesValue ? withValue : { type: 'boolean' }), ...alias }];
  });
}

/** Flags that take the next word for their value. */
function valueTaking(options: readonly NamedOption[]): readonly string[] {
  return options.flatMap(([name, { alias, nargs }]) =>
    nargs === 1 ? [`--${name}`, ...(typeof alias === 'string' ? [`-${alias}`] : [])] : [],
  );
}

/** Writes `-dfedora` as `-d fedora`: the parser would take each letter for a flag. */
function apart(argv: readonly string[], options: readonly NamedOption[]): string[] {
  const taking = valueTaking(options);
  const words: string[] = [];
  for (const [index, word] of argv.entries()) {
    if (word === '--') return [...words, ...argv.slice(index)];
    const isValue = taking.includes(words.at(-1) ?? '');
    const flag = word.slice(0, 2);
    const isJoined = /^-[^-][^=]/.test(word) && taking.includes(flag);
    words.push(...(isJoined && !isValue ? [flag, word.slice(2)] : [word]));
  }
  return words;
}

/** Writes `--checksum` as `--checksum=yes`: the parser would take the next word for its value. */
function withBareValues(argv: readonly string[], bare: ReadonlyMap<string, string>): string[] {
  const end = argv.indexOf('--');
  return argv.map((word, index) => {
    const value = word.startsWith('--') ? bare.get(word.slice(2)) : undefined;
    return value === undefined || (end >= 0 && index > end) ? word : `${word}=${value}`;
  });
}

function findVerb(word: string | undefined, grammar: Grammar, help: boolean): Result<Verb | undefined> {
  if (word === undefined && help) return ok(undefined);
  const name = word ?? grammar.defaultVerb;
  const found = grammar.verbs.find((verb) => verb.name === name || (verb.aliases ?? []).includes(name));
  if (found !== undefined) return ok(found);
  const names = grammar.verbs.flatMap((verb) => [verb.name, ...(verb.aliases ?? [])]);
  return fail(usageFault('unknown-verb', `unknown verb '${name}'`, suggestion(closest(name, names))));
}

function unknownFlags(flags: ParsedFlags, grammar: Grammar): Diagnostic[] {
  const known = new Set<string>(['_', '--', '$0']);
  for (const row of grammar.flags) {
    known.add(row.long);
    if (row.shorthand !== undefined) known.add(row.shorthand.letter);
  }
  for (const option of [...globalFlags, ...verbOptions(grammar.verbs)]) known.add(option.long);
  const long = [...known].filter((name) => name.length > 2);
  return Object.keys(flags)
    .filter((name) => !known.has(name))
    .map((name) => {
      const flag = name.length === 1 ? `-${name}` : `--${name}`;
      const near = name.length === 1 ? undefined : closest(name, long);
      return usageFault('unknown-flag', `unknown flag ${flag}`, suggestion(near && `--${near}`));
    });
}

/** Options of other verbs than the chosen one. */
function foreignOptions(flags: ParsedFlags, verb: Verb | undefined, grammar: Grammar): Diagnostic[] {
  if (verb === undefined) return [];
  return verbOptions(grammar.verbs)
    .filter(({ long }) => isGiven(flags[long]) && !verb.options.some((option) => option.name === long))
    .map(({ long, verbs }) =>
      usageFault(
        'foreign-flag',
        `--${long} means nothing to 'mkimg ${verb.name}'`,
        `It belongs to ${verbs.map((name) => `'mkimg ${name}'`).join(', ')}.`,
      ),
    );
}

interface DeclaredVerbOption {
  readonly long: string;
  readonly short?: string;
  readonly takesValue: boolean;
  readonly verbs: readonly string[];
}

function verbOptions(verbs: readonly Verb[]): readonly DeclaredVerbOption[] {
  const byName = new Map<string, DeclaredVerbOption>();
  for (const verb of verbs) {
    for (const { name, short, takesValue } of verb.options) {
      const verbs = [...(byName.get(name)?.verbs ?? []), verb.name];
      byName.set(name, { long: name, ...(short !== undefined && { short }), takesValue, verbs });
    }
  }
  return [...byName.values()];
}

function assignmentsOf(row: FlagRow, flags: ParsedFlags): FlagAssignment[] {
  const { setting, long, shorthand } = row;
  const given = strings(flags[long]).map((text) => ({ setting, text, flag: `--${long}=${text}` }));
  if (shorthand === undefined || flags[shorthand.letter] !== true) return given;
  return [{ setting, text: shorthand.text, flag: `-${shorthand.letter}` }, ...given];
}

function globalOptions(flags: ParsedFlags, grammar: Grammar): GlobalOptions {
  const extra: Record<string, string> = {};
  for (const { long, takesValue } of verbOptions(grammar.verbs)) {
    const value = takesValue ? strings(flags[long]).at(-1) : flags[long] === true ? 'true' : undefined;
    if (value !== undefined) extra[long] = value;
  }
  const force = flags['force'];
  const directory = strings(flags['directory']).at(-1);
  return {
    directory: hostPath(resolve(grammar.workingDirectory, directory ?? '.')),
    ...(directory === '' && { isProjectless: true }),
    force: typeof force === 'number' ? force : 0,
    json: flags['json'] === true,
    debug: flags['debug'] === true,
    extra,
  };
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== false;
}

function strings(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function suggestion(name: string | undefined): string {
  return name === undefined ? 'See mkimg --help.' : `Did you mean '${name}'?`;
}

function usageFault(code: string, message: string, hint: string): Diagnostic {
  return { severity: 'error', code, message, hint };
}
