import type { HostPath } from '../../base/brand.ts';
import type { Diagnostic, Origin } from '../../base/diagnostic.ts';
import { closest } from '../../base/suggestion.ts';
import type { Entry } from '../codec.ts';
import type { ImageLoading, Position } from '../loading.ts';
import { parseContext, take } from '../loading.ts';
import type { ScannedAssignment, ScannedSection } from '../scanner.ts';
import { expandSpecifiers } from '../specifiers.ts';
import { trim } from '../traced-text.ts';
import type { TestSetting } from './settings.ts';

/** A value of a section with the place that it was given at last. */
export interface SectionValue {
  readonly value: unknown;
  readonly origin: Origin;
}

export interface SectionPlace {
  readonly file: HostPath;
  readonly position: Position;
}

/** The values of one section of a test file; faults are noted. An empty assignment takes back what stood before. */
export function sectionValues(
  loading: ImageLoading,
  sections: readonly ScannedSection[],
  {
    settings,
    place,
  }: { readonly settings: Readonly<Record<string, TestSetting<unknown>>>; readonly place: SectionPlace },
): ReadonlyMap<string, SectionValue> {
  const entries = new Map<string, { entries: readonly Entry<unknown>[]; origin: Origin }>();
  for (const section of sections) {
    for (const line of section.assignments) {
      const setting = Object.hasOwn(settings, line.key) ? settings[line.key] : undefined;
      if (setting === undefined) {
        loading.faults.push(unknownSetting(line, section.name, Object.keys(settings)));
        continue;
      }
      const value = trim(expandSpecifiers(loading, line.value, place));
      if (value.text === '') {
        entries.delete(line.key);
        continue;
      }
      const parsed = take(
        loading,
        setting.codec.parse(value, parseContext(loading, place.position.directory)),
      );
      if (parsed === undefined) continue;
      const before = setting.codec.merge === 'replace' ? [] : (entries.get(line.key)?.entries ?? []);
      entries.set(line.key, { entries: [...before, ...parsed], origin: value.origin() });
    }
  }
  return new Map(
    [...entries].map(([key, given]) => {
      const value = settings[key]?.codec.collect(given.entries.map((entry) => entry.value));
      return [key, { value, origin: given.origin }];
    }),
  );
}

function unknownSetting(
  { key, keyOrigin: origin }: ScannedAssignment,
  section: string,
  known: readonly string[],
): Diagnostic {
  const near = closest(key, known);
  return {
    severity: 'error',
    code: 'unknown-setting',
    message: `${key}= is not a setting of [${section}] in a test`,
    origin,
    hint:
      near === undefined ? `Known: ${known.map((name) => `${name}=`).join(' ')}.` : `Did you mean '${near}'?`,
  };
}
