import type { CompletionFlag, CompletionModel, CompletionVerb } from './model.ts';

/** Completion for fish: a file mkimg.fish in ~/.config/fish/completions, or text to source. */
export function fishCompletion(model: CompletionModel): string {
  const needy = [...model.flags, ...model.verbs.flatMap(({ flags }) => flags)].filter(
    ({ value }) => value === 'required',
  );
  return `# Completion of mkimg for fish, made by 'mkimg completion fish'.

# The words of the command line that are neither flags nor their values: the verb, and what follows it.
function __mkimg_words
    set -l needy ${needy.flatMap(({ names }) => names).join(' ')}
    set -l before
    for word in (commandline -opc)[2..-1]
        if test "$word" = --
            return
        end
        if not string match -q -- '-*' $word; and not contains -- "$before" $needy
            echo $word
        end
        set before $word
    end
end

function __mkimg_without_verb
    test -z "$(__mkimg_words)"; and not __mkimg_after_dashes
end

function __mkimg_with_verb
    set -l words (__mkimg_words)
    contains -- "$words[1]" $argv
end

function __mkimg_right_after
    set -l words (__mkimg_words)
    test (count $words) -eq 1; and contains -- "$words[1]" $argv
end

function __mkimg_after_dashes
    contains -- -- (commandline -opc)
end

complete -c mkimg -f
complete -c mkimg -n __mkimg_after_dashes -F
${model.flags.map((flag) => flagLine(flag)).join('\n')}
${model.verbs.flatMap(verbLines).join('\n')}
`;
}

function flagLine(flag: CompletionFlag, condition?: string): string {
  const { names, summary, value, offer } = flag;
  const parts = [
    'complete -c mkimg',
    ...(condition === undefined ? [] : [`-n ${singleQuoted(condition)}`]),
    ...names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)),
    ...(value === 'required' ? ['-r'] : []),
  ];
  if (offer.kind === 'words') parts.push('-f', `-a ${singleQuoted(offer.words.map(word).join(' '))}`);
  else if (offer.kind === 'file') parts.push('-F');
  else if (offer.kind === 'directory') parts.push('-f', `-a '(__fish_complete_directories)'`);
  else if (value === 'required') parts.push('-f');
  return [...parts, `-d ${singleQuoted(summary)}`].join(' ');
}

function verbLines({ names, summary, flags, words }: CompletionVerb): readonly string[] {
  const condition = (name: string): string => `${name} ${names.join(' ')}`;
  return [
    ...names.map(
      (name) => `complete -c mkimg -n __mkimg_without_verb -a ${name} -d ${singleQuoted(summary)}`,
    ),
    ...flags.map((flag) => flagLine(flag, condition('__mkimg_with_verb'))),
    ...(words.length === 0
      ? []
      : [
          `complete -c mkimg -n ${singleQuoted(condition('__mkimg_right_after'))} -a ${singleQuoted(words.map(word).join(' '))}`,
        ]),
  ];
}

/** One word of `-a`, which is expanded like words of a command. */
function word(text: string): string {
  return text.replace(/[^\w@%+=:,./-]/g, '\\$&');
}

function singleQuoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
