import { isObject } from '../base/canonical.ts';
import type { ElfFile } from './elf-file.ts';

/** How much a program needs a library, in its own words. */
export type DlopenPriority = 'required' | 'recommended' | 'suggested';

/** A library that a program opens when it runs, if it is there. */
export interface DlopenNote {
  /** Empty where the note names none. */
  readonly feature: string;
  readonly description: string;
  readonly priority: DlopenPriority;
  /** Any one of these will do; the best first. Never empty. */
  readonly sonames: readonly string[];
}

const noteOwner = 'FDO';
const noteType = 0x407c0c0a;

/**
 * What an ELF file says about libraries that it does not link to (systemd.io/ELF_DLOPEN_METADATA). Found by owner and type of
 * the note, as the specification demands; what is not in its form is left out.
 * @throws MkimgError `bad-elf`
 */
export function dlopenNotes(file: Pick<ElfFile, 'notes'>): DlopenNote[] {
  return file
    .notes()
    .filter(({ owner, type }) => owner === noteOwner && type === noteType)
    .flatMap(({ content }) => parseNote(content.toString('utf8').replace(/\0+$/, '')));
}

function parseNote(text: string): DlopenNote[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Of no use to anybody, and no reason to refuse the file.
    return [];
  }
  return Array.isArray(value) ? value.flatMap(parseDependency) : [];
}

function parseDependency(value: unknown): DlopenNote[] {
  if (!isObject(value) || !Array.isArray(value['soname'])) return [];
  const sonames = value['soname'].filter(isFileName);
  if (sonames.length === 0) return [];
  const text = (name: string): string => (typeof value[name] === 'string' ? value[name] : '');
  const { priority } = value;
  return [
    {
      ...{ feature: text('feature'), description: text('description'), sonames },
      // The key may be missing. What is neither demanded nor optional is in the middle.
      priority: priority === 'required' || priority === 'suggested' ? priority : 'recommended',
    },
  ];
}

function isFileName(value: unknown): value is string {
  return typeof value === 'string' && /^[^/\0\s]+$/.test(value) && !/^\.\.?$/.test(value);
}
