import type { Verb } from '../verb.ts';

/** `mkimg cache [list|prune|verify]`: how a verb is written. */
export function verbUsage({ name, words }: Verb): string {
  return `mkimg ${name}${words === undefined ? '' : ` ${words.usage}`}`;
}

/** What there is to say about a verb, as Markdown that begins with a heading. */
export function verbReference(verb: Verb): string {
  const { summary, doc = '', options, aliases = [] } = verb;
  const list = options.map(
    (option) => `- \`--${option.name}${option.takesValue ? '=VALUE' : ''}\`: ${option.summary}`,
  );
  const also = aliases.length === 0 ? '' : `Also: ${aliases.map((name) => `\`${name}\``).join(', ')}.\n\n`;
  return (
    `### ${verbUsage(verb)}\n\n${summary}.\n\n${also}${doc.trim()}\n\n${list.join('\n')}`.trimEnd() + '\n'
  );
}
