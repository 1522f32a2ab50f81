import { ConfigurationError } from '../base/errors.ts';
import { closest } from '../base/suggestion.ts';
import { flagRows } from '../config/settings/table.ts';
import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import type { CompletionModel } from './completion/model.ts';
import { completionModel } from './completion/model.ts';
import { zshCompletion } from './completion/zsh.ts';
import type { Verb } from './verb.ts';

const shells: Readonly<Record<string, (model: CompletionModel) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** `verbs` are those of the whole program, this one included. */
export function completionVerb(verbs: () => readonly Verb[]): Verb {
  return {
    name: 'completion',
    summary: 'Print what makes a shell complete verbs, flags and values',
    doc: `Prints a script for bash, zsh or fish that is made from the table of settings and the verbs:

    mkimg completion bash >~/.local/share/bash-completion/completions/mkimg
    mkimg completion zsh >"\${fpath[1]}/_mkimg"
    mkimg completion fish >~/.config/fish/completions/mkimg.fish`,
    answers: true,
    words: { usage: 'bash|zsh|fish', choices: Object.keys(shells) },
    options: [],
    run: (context) => {
      context.print(scriptFor(context.words)(completionModel(verbs(), flagRows)));
      return Promise.resolve(0);
    },
  };
}

function scriptFor([name, ...more]: readonly string[]): (model: CompletionModel) => string {
  const found = Object.entries(shells).find(([shell]) => shell === name)?.[1];
  if (found !== undefined && more.length === 0) return found;
  const near = name === undefined ? undefined : closest(name, Object.keys(shells));
  throw new ConfigurationError([
    {
      ...{ severity: 'error', code: 'bad-usage' },
      message:
        name === undefined
          ? 'completion needs the name of a shell'
          : `there is no completion for '${[name, ...more].join(' ')}'`,
      hint:
        near === undefined
          ? `Write mkimg completion ${Object.keys(shells).join('|')}.`
          : `Did you mean '${near}'?`,
    },
  ]);
}
