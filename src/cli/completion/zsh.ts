import type { CompletionFlag, CompletionModel, CompletionVerb, Offer } from './model.ts';

/** Completion for zsh: a file `_mkimg` in a directory of $fpath, or text to source after compinit. */
export function zshCompletion(model: CompletionModel): string {
  const needy = [...model.flags, ...model.verbs.flatMap(({ flags }) => flags)].filter(
    ({ value }) => value === 'required',
  );
  return `#compdef mkimg
# Completion of mkimg for zsh, made by 'mkimg completion zsh'.

_mkimg() {
  local curcontext=$curcontext context state state_descr line verb word
  typeset -A opt_args
  local -a flags verbs needy
  integer index

  needy=(${needy.flatMap(({ names }) => names).join(' ')})
  for (( index = 2; index < CURRENT; index++ )); do
    word=$words[index]
    if [[ $word == -- ]]; then break; fi
    if [[ $word != -* ]] && (( ! \${needy[(Ie)$words[index-1]]} )); then verb=$word; break; fi
  done

  flags=(
${model.flags.flatMap(flagSpecs).map(line).join('\n')}
  )
  case $verb in
${model.verbs.flatMap(verbFlags).join('\n')}
  esac
  verbs=(
${model.verbs.flatMap(({ names, summary }) => names.map((name) => line(`${name}:${summary}`))).join('\n')}
  )

  _arguments -S : $flags '1:verb:->verb' '*:word:->word' && return
  case $state in
    (verb) _describe -t verbs verb verbs ;;
    (word)
      if (( \${words[(Ie)--]} )); then _files; return; fi
      case $verb in
${model.verbs.flatMap(verbWords).join('\n')}
      esac ;;
  esac
}

if [[ $funcstack[1] == _mkimg ]]; then _mkimg "$@"; else compdef _mkimg mkimg; fi
`;
}

function line(text: string): string {
  return `    ${singleQuoted(text)}`;
}

/** One specification of _arguments for each name; all can be given again. */
function flagSpecs({ names, summary, value, offer }: CompletionFlag): readonly string[] {
  const explanation = `[${summary.replace(/[[\]\\:]/g, '\\$&')}]`;
  return names.map((name) => {
    if (value === 'none') return `*${name}${explanation}`;
    const isLong = name.startsWith('--');
    const joint = value === 'optional' ? (isLong ? '=-' : '-') : isLong ? '=' : '+';
    return `*${name}${joint}${explanation}${value === 'optional' ? '::' : ':'}value:${action(offer)}`;
  });
}

function action(offer: Offer): string {
  switch (offer.kind) {
    case 'words':
      return `(${offer.words.map((word) => word.replace(/[\s()\\:]/g, '\\$&')).join(' ')})`;
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'any':
      return ' ';
  }
}

function verbFlags({ names, flags }: CompletionVerb): readonly string[] {
  if (flags.length === 0) return [];
  return [`    (${names.join('|')}) flags+=(${flags.flatMap(flagSpecs).map(singleQuoted).join(' ')}) ;;`];
}

function verbWords({ names, words }: CompletionVerb): readonly string[] {
  if (words.length === 0) return [];
  return [`        (${names.join('|')}) compadd -- ${words.map(singleQuoted).join(' ')} ;;`];
}

function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
