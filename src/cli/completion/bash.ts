import type { CompletionFlag, CompletionModel, CompletionVerb, Offer } from './model.ts';

/** Completion for bash 4 and newer. It needs nothing but bash: Debian's bash-completion loads it if it is there. */
export function bashCompletion(model: CompletionModel): string {
  return `${tables(model)}${offerFunction}${scanning}${choosing(model)}`;
}

function tables({ flags, verbs }: CompletionModel): string {
  const needy = [...flags, ...verbs.flatMap((verb) => verb.flags)].filter(({ value }) => value !== 'none');
  return `# Completion of mkimg for bash, made by 'mkimg completion bash'.

# Sets kind, words and optional to what may follow a flag.
_mkimg_value() {
    kind= words= optional=
    case $1 in
${needy.map(valueCase).join('\n')}
    esac
}

# Sets words and flags to what may follow a verb.
_mkimg_verb() {
    words= flags=
    case $1 in
${verbs.map(verbCase).join('\n')}
    esac
}

`;
}

const offerFunction = `_mkimg_offer() {
    case $kind in
        words) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$1") ;;
        file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$1") ;;
        directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$1") ;;
    esac
}

`;

const scanning = `_mkimg() {
    local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
    local kind words optional flags verb= flag= count=0 index
    COMPREPLY=()

    # The words before: the verb, how many follow it, and whether '--' ended the flags.
    for ((index = 1; index < COMP_CWORD; index++)); do
        case \${COMP_WORDS[index]} in
            --) kind=file; _mkimg_offer "$word"; return ;;
            # Bash makes a word of its own of the '=' in --flag=value.
            =) index=$((index + 1)) ;;
            -*)
                _mkimg_value "\${COMP_WORDS[index]}"
                if [[ $kind && ! $optional && \${COMP_WORDS[index+1]} != = ]]; then index=$((index + 1)); fi
                ;;
            *) if [[ $verb ]]; then count=$((count + 1)); else verb=\${COMP_WORDS[index]}; fi ;;
        esac
    done

`;

function choosing({ flags, verbs }: CompletionModel): string {
  return `    if [[ $word == = ]]; then
        flag=$before word=
    elif [[ $before == = ]]; then
        flag=\${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $before == -* ]]; then
        _mkimg_value "$before"
        if [[ $kind && ! $optional ]]; then flag=$before; fi
    fi
    if [[ $flag ]]; then
        _mkimg_value "$flag"
        _mkimg_offer "$word"
    elif [[ $word == --*=* ]]; then
        # Where '=' does not end a word.
        flag=\${word%%=*}
        _mkimg_value "$flag"
        _mkimg_offer "\${word#*=}"
        COMPREPLY=("\${COMPREPLY[@]/#/$flag=}")
    elif [[ $word == -* ]]; then
        _mkimg_verb "$verb"
        mapfile -t COMPREPLY < <(compgen -W '${flagWords(flags)} '"$flags" -- "$word")
        if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
    elif [[ ! $verb ]]; then
        mapfile -t COMPREPLY < <(compgen -W '${verbs.flatMap(({ names }) => names).join(' ')}' -- "$word")
    elif [[ $count -eq 0 ]]; then
        _mkimg_verb "$verb"
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    fi
}

complete -F _mkimg mkimg
`;
}

function valueCase({ names, offer, value }: CompletionFlag): string {
  const optional = value === 'optional' ? ' optional=1' : '';
  return `        ${names.join('|')}) ${offerWords(offer)}${optional} ;;`;
}

function offerWords(offer: Offer): string {
  return offer.kind === 'words' ? `kind=words words=${quoted(offer.words)}` : `kind=${offer.kind}`;
}

function verbCase({ names, words, flags }: CompletionVerb): string {
  return `        ${names.join('|')}) words=${quoted(words)} flags='${flagWords(flags)}' ;;`;
}

/** Long and short names; a long one that takes a value ends in `=`. */
function flagWords(flags: readonly CompletionFlag[]): string {
  return flags
    .flatMap(({ names, value }) =>
      names.map((name) => (value === 'required' && name.startsWith('--') ? `${name}=` : name)),
    )
    .join(' ');
}

/** Words for compgen -W, which takes quotes off them once more. */
function quoted(words: readonly string[]): string {
  const escaped = words.map((word) => word.replace(/[^\w@%+=:,./~-]/g, '\\$&')).join(' ');
  return `'${escaped.replaceAll("'", `'\\''`)}'`;
}
