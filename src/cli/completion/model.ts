import type { FlagRow } from '../../config/settings/flags.ts';
import { settingRow } from '../../config/settings/table.ts';
import type { SettingName } from '../../config/settings/table.ts';
import { globalFlags } from '../arguments.ts';
import type { Verb } from '../verb.ts';

/** What a shell may offer as a value: some words, files, directories, or nothing that it could know. */
export type Offer =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' | 'directory' | 'any' };

export interface CompletionFlag {
  /** With their dashes; the long one first. */
  readonly names: readonly string[];
  readonly summary: string;
  /** Whether it takes a value, and may then be without one. */
  readonly value: 'none' | 'optional' | 'required';
  readonly offer: Offer;
}

export interface CompletionVerb {
  readonly names: readonly string[];
  readonly summary: string;
  readonly flags: readonly CompletionFlag[];
  /** What may follow it. */
  readonly words: readonly string[];
}

/** All that completion knows of the command line; each shell's script is made from it. */
export interface CompletionModel {
  readonly flags: readonly CompletionFlag[];
  readonly verbs: readonly CompletionVerb[];
}

/** The model of these verbs, the general switches, and the flags of the settings. */
export function completionModel(verbs: readonly Verb[], flags: readonly FlagRow[]): CompletionModel {
  return {
    flags: [...globalFlags.map(switchFlag), ...flags.flatMap(settingFlags)],
    verbs: verbs.map((verb) => ({
      names: [verb.name, ...(verb.aliases ?? [])],
      summary: verb.summary,
      flags: verb.options.map(({ name, short, takesValue, isFile, summary }) => ({
        ...{
          names: [...(short === undefined ? [] : [`-${short}`]), `--${name}`],
          summary,
          value: takesValue ? 'required' : 'none',
        },
        offer: { kind: isFile === true ? 'file' : 'any' },
      })),
      words: wordsOf(verb),
    })),
  };
}

function wordsOf({ words }: Verb): readonly string[] {
  if (words === undefined) return [];
  return typeof words.choices === 'function' ? words.choices() : words.choices;
}

const switchOffers: Readonly<Record<string, Offer>> = {
  directory: { kind: 'directory' },
  events: { kind: 'file' },
};

function switchFlag(flag: (typeof globalFlags)[number]): CompletionFlag {
  return {
    names: [`--${flag.long}`, ...('short' in flag ? [`-${flag.short}`] : [])],
    summary: flag.summary,
    value: flag.takesValue ? 'required' : 'none',
    offer: switchOffers[flag.long] ?? { kind: 'any' },
  };
}

function settingFlags(row: FlagRow): readonly CompletionFlag[] {
  const { long, short, shorthand, bare, summary } = row;
  const flag: CompletionFlag = {
    names: [`--${long}`, ...(short === undefined ? [] : [`-${short}`])],
    summary,
    value: bare === undefined ? 'required' : 'optional',
    offer: offerOf(row.setting as SettingName),
  };
  if (shorthand === undefined) return [flag];
  const letter: CompletionFlag = {
    names: [`-${shorthand.letter}`],
    summary: `${summary}: ${shorthand.text}`,
    value: 'none',
    offer: { kind: 'any' },
  };
  return [flag, letter];
}

function offerOf(name: SettingName): Offer {
  const { codec } = settingRow(name).setting;
  if (codec.choices !== undefined) return { kind: 'words', words: codec.choices };
  return { kind: codec.fromFile === undefined ? 'any' : 'file' };
}
