import { dirname } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { distributions, type DistributionName } from '../distro/distributions.ts';
import type { ImageLoading, Position } from './loading.ts';
import { currentValue, fallbackContext } from './loading.ts';
import { settingRows } from './settings/table.ts';
import type { Replacement, TracedText } from './traced-text.ts';
import { replace } from './traced-text.ts';
import { resolve } from './values.ts';

/**
 * Replaces `%x` in a value by what it stands for now: settings by their letters, `%C` the directory of the file, `%P` the
 * directory being read, `%D` the project's, `%I` the image, `%F` the distribution's file system, `%%` a percent sign.
 */
export function expandSpecifiers(
  loading: ImageLoading,
  text: TracedText,
  place: { readonly file: HostPath; readonly position: Position },
): TracedText {
  const parts: Replacement[] = [];
  for (const match of text.text.matchAll(/%(.)/gs)) {
    const [whole, letter = ''] = match;
    const start = match.index;
    const meaning = letter === '%' ? '%' : meaningOf(loading, letter, place);
    if (meaning === undefined || meaning === '')
      noteEmpty(loading, text, { start, letter, known: meaning === '' });
    parts.push({ start, end: start + whole.length, text: meaning ?? '' });
  }
  return replace(text, parts);
}

/** undefined for unknown letters, empty for settings without a value. */
function meaningOf(
  loading: ImageLoading,
  letter: string,
  { file, position }: { readonly file: HostPath; readonly position: Position },
): string | undefined {
  switch (letter) {
    case 'C':
      return dirname(file);
    case 'P':
      return position.directory;
    case 'D':
      return loading.world.root ?? loading.directory;
    case 'I':
      return loading.name;
    case 'F':
      return distributions[currentValue(loading, 'Distribution') as DistributionName].fileSystem;
    default:
      return settingMeaning(loading, letter);
  }
}

function settingMeaning(loading: ImageLoading, letter: string): string | undefined {
  const row = settingRows.find(({ setting }) => setting.specifier === letter);
  if (row === undefined) return undefined;
  const { value } = resolve(loading.values, row, fallbackContext(loading));
  return value === undefined ? '' : row.setting.codec.show(value);
}

function noteEmpty(
  loading: ImageLoading,
  text: TracedText,
  { start, letter, known }: { readonly start: number; readonly letter: string; readonly known: boolean },
): void {
  const row = settingRows.find(({ setting }) => setting.specifier === letter);
  loading.faults.push({
    severity: 'warning',
    code: known ? 'empty-specifier' : 'unknown-specifier',
    message: known
      ? `%${letter} is empty: ${row?.name ?? 'its setting'}= has no value so far`
      : `%${letter} means nothing and is left out`,
    origin: text.origin(start, start + 2),
    hint: known ? 'Set it above this line.' : 'Write %% for a percent sign.',
  });
}
