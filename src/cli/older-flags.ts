import type { Diagnostic } from '../base/diagnostic.ts';
import type { FlagRow } from '../config/settings/flags.ts';

/** A command line in today's words. */
export interface TranslatedArguments {
  readonly argv: readonly string[];
  /** One for each older word, in their order. */
  readonly notes: readonly Diagnostic[];
}

/**
 * Switches of mkosi that ask for nothing that mkimg has: it has no pager and no workspace to keep, and what happens in
 * sandboxes and how long it takes is in its events.
 */
const idleSwitches: Readonly<Record<string, { readonly takesValue: boolean; readonly isNoted: boolean }>> = {
  'no-pager': { takesValue: false, isNoted: false },
  'debug-sandbox': { takesValue: false, isNoted: true },
  'debug-timing': { takesValue: false, isNoted: true },
  'debug-workspace': { takesValue: false, isNoted: true },
  'nspawn-keep-unit': { takesValue: false, isNoted: true },
  default: { takesValue: true, isNoted: true },
  cache: { takesValue: true, isNoted: true },
  'runtime-scratch': { takesValue: true, isNoted: true },
};

/**
 * Writes long flags that settings had in older versions of mkosi as they are called now, and leaves out those without a
 * meaning here.
 * @param takesValue whether a word of today is a flag whose value is the next word
 */
export function inTodaysWords(
  argv: readonly string[],
  flags: readonly FlagRow[],
  takesValue: (word: string) => boolean,
): TranslatedArguments {
  const translate = translatorFor(flags);
  const words: string[] = [];
  const notes: Diagnostic[] = [];
  let skipsValue = false;
  for (const [index, word] of argv.entries()) {
    if (word === '--') return { argv: [...words, ...argv.slice(index)], notes };
    const isValue: boolean = skipsValue || takesValue(words.at(-1) ?? '');
    const today: TranslatedWord | undefined = isValue ? undefined : translate(word);
    if (today?.note !== undefined) notes.push(today.note);
    if (!skipsValue) words.push(...(today === undefined ? [word] : today.words));
    skipsValue = today?.skipsValue === true;
  }
  return { argv: words, notes };
}

interface TranslatedWord {
  readonly words: readonly string[];
  readonly note?: Diagnostic;
  /** The next word belongs to it, and has no meaning either. */
  readonly skipsValue?: boolean;
}

/** undefined for words of today. */
function translatorFor(flags: readonly FlagRow[]): (word: string) => TranslatedWord | undefined {
  const names = new Map(flags.flatMap(({ long, oldLongs = [] }) => oldLongs.map((old) => [old, long])));
  return (word) => {
    const [, name = '', value = ''] = /^--([^=]+)(=.*)?$/s.exec(word) ?? [];
    const today = names.get(name);
    if (today !== undefined) return { words: [`--${today}${value}`], note: renamed(name, today) };
    const idle = Object.hasOwn(idleSwitches, name) ? idleSwitches[name] : undefined;
    if (idle === undefined) return undefined;
    const skipsValue = idle.takesValue && value === '';
    return { words: [], skipsValue, ...(idle.isNoted && { note: withoutMeaning(name) }) };
  };
}

function renamed(old: string, today: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'old-name',
    message: `--${old} is called --${today} now`,
    hint: `Write --${today}.`,
  };
}

function withoutMeaning(name: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'idle-flag',
    message: `--${name} is a flag of mkosi that changes nothing here`,
    hint: 'Leave it out.',
  };
}
