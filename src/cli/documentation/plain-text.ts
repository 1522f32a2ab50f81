import type { Block, Inline } from './markdown.ts';

/** Sets documentation as text for terminals, without control sequences. */
export function plainText(blocks: readonly Block[], width = 80): string {
  return `${lines(blocks, width).join('\n')}\n`;
}

const underlines: Readonly<Record<number, string>> = { 1: '=', 2: '-' };

function lines(blocks: readonly Block[], width: number): readonly string[] {
  return blocks.flatMap((block, index) => [...(index === 0 ? [] : ['']), ...linesOf(block, width)]);
}

function linesOf(block: Block, width: number): readonly string[] {
  switch (block.kind) {
    case 'heading': {
      const title = textOf(block.content);
      const underline = underlines[block.depth];
      return underline === undefined ? [title] : [title, underline.repeat(title.length)];
    }
    case 'paragraph':
      return wrap(textOf(block.content), width);
    case 'code':
      return block.lines.map((line) => (line === '' ? '' : `    ${line}`));
    case 'list':
      return block.items.flatMap((item) =>
        lines(item, width - 2).map((line, index) =>
          line === '' ? '' : `${index === 0 ? '- ' : '  '}${line}`,
        ),
      );
    case 'table':
      return columns(block.rows.map((row) => row.map(textOf)));
  }
}

function textOf(content: readonly Inline[]): string {
  return content
    .map((part) =>
      part.kind === 'link' && part.target !== part.text && /^https?:/.test(part.target)
        ? `${part.text} (${part.target})`
        : part.text,
    )
    .join('');
}

function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Breaks text at blanks; words that are too long stand alone on their line. */
export function wrap(text: string, width: number): readonly string[] {
  const wrapped: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      wrapped.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return line === '' ? wrapped : [...wrapped, line];
}
