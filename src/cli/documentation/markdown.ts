import type { MarkedToken, Token } from 'marked';
import { lexer } from 'marked';

/** Text with words that are set apart. */
export type Inline =
  | { readonly kind: 'text' | 'code' | 'strong'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly target: string };

/** The Markdown that documentation of mkimg uses, as a tree that is easy to set in other forms. */
export type Block =
  | { readonly kind: 'heading'; readonly depth: number; readonly content: readonly Inline[] }
  | { readonly kind: 'paragraph'; readonly content: readonly Inline[] }
  | { readonly kind: 'code'; readonly lines: readonly string[] }
  | { readonly kind: 'list'; readonly items: readonly (readonly Block[])[] }
  | { readonly kind: 'table'; readonly rows: readonly (readonly (readonly Inline[])[])[] };

/** @throws Error (internal) for Markdown that documentation does not use, such as pictures */
export function parseMarkdown(text: string): readonly Block[] {
  return blocks(lexer(text));
}

// marked declares its tokens open for extensions; it was given none.
function known(tokens: readonly Token[] | undefined): readonly MarkedToken[] {
  return (tokens ?? []) as MarkedToken[];
}

function blocks(tokens: readonly Token[] | undefined): readonly Block[] {
  return known(tokens).flatMap((token): readonly Block[] => {
    switch (token.type) {
      case 'space':
        return [];
      case 'heading':
        return [{ kind: 'heading', depth: token.depth, content: inlines(token.tokens) }];
      case 'paragraph':
        return [{ kind: 'paragraph', content: inlines(token.tokens) }];
      case 'text':
        return [{ kind: 'paragraph', content: inlines(token.tokens ?? [token]) }];
      case 'code':
        return [{ kind: 'code', lines: token.text.split('\n') }];
      case 'list':
        return [{ kind: 'list', items: token.items.map((item) => blocks(item.tokens)) }];
      case 'table':
        return [
          {
            kind: 'table',
            rows: [token.header, ...token.rows].map((row) => row.map((cell) => inlines(cell.tokens))),
          },
        ];
      default:
        throw new Error(`internal: documentation cannot show ${token.type}: ${token.raw}`);
    }
  });
}

function inlines(tokens: readonly Token[] | undefined): readonly Inline[] {
  return known(tokens).map((token): Inline => {
    switch (token.type) {
      case 'text':
      case 'escape':
        return { kind: 'text', text: token.text };
      case 'codespan':
        return { kind: 'code', text: token.text };
      case 'strong':
      case 'em':
        return { kind: 'strong', text: token.text };
      case 'link':
        return { kind: 'link', text: token.text, target: token.href };
      default:
        throw new Error(`internal: documentation cannot show ${token.type}: ${token.raw}`);
    }
  });
}
