import type { HostPath } from '../base/brand.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import type { Entry } from './codec.ts';
import type { ImageLoading, Position } from './loading.ts';
import { parseContext, take } from './loading.ts';
import type { ScannedAssignment } from './scanner.ts';
import type { SettingRow } from './settings/table.ts';
import { findSection, findSetting, settingRows } from './settings/table.ts';
import { expandSpecifiers } from './specifiers.ts';
import type { TracedText } from './traced-text.ts';
import { tracedWhole, trim } from './traced-text.ts';
import { prohibition } from './prohibitions.ts';
import type { LayerName, Place as SettingPlace } from './values.ts';
import { assign, clear } from './values.ts';

/** A setting given on the command line; `text` is empty to go back to the default. */
export interface CommandLineAssignment {
  readonly setting: string;
  readonly text: string;
  /** The flag as the user wrote it, for error messages. */
  readonly flag: string;
  /** Where the value came from, if it was not a flag. */
  readonly origin?: Origin;
}

/** Takes over what the command line says. Paths count from the directory that -C says. */
export function applyCommandLine(loading: ImageLoading, given: readonly CommandLineAssignment[]): void {
  for (const { setting, text, flag, origin } of given) {
    const row = findSetting(setting);
    if (row === undefined) throw new Error(`internal: the command line names the unknown setting ${setting}`);
    const value = trim(tracedWhole(text, origin ?? { kind: 'flag', text: flag }));
    assignText(loading, value, {
      row,
      layer: 'command line',
      directory: loading.world.root ?? loading.directory,
    });
  }
}

/** Takes over one line of a file; gives its row, so that the caller can follow Include=. */
export function applyLine(
  loading: ImageLoading,
  line: ScannedAssignment,
  place: { readonly file: HostPath; readonly position: Position; readonly section: string },
): SettingRow | undefined {
  const { position } = place;
  loading.faults.push(...nameFaults(line, place));
  const row = findSetting(line.key);
  if (row === undefined) return undefined;
  const prohibited = prohibition(loading, row, position);
  if (prohibited !== undefined) {
    loading.faults.push({ ...prohibited, origin: line.keyOrigin });
    return undefined;
  }
  const value = trim(expandSpecifiers(loading, line.value, place));
  assignText(loading, value, { row, layer: position.layer, directory: position.directory });
  return row;
}

/** What is wrong with the name of a line's setting and with the section that it stands in, as the file calls it. */
export function nameFaults(
  line: ScannedAssignment,
  place: { readonly position: Pick<Position, 'prefix'>; readonly section: string },
): readonly Diagnostic[] {
  const row = findSetting(line.key);
  if (row === undefined) return [unknownSetting(line, place.position)];
  return [
    ...(row.name === line.key ? [] : [oldName(line, row)]),
    ...(row.section === findSection(place.section) ? [] : [wrongSection(line, row, place)]),
  ];
}

interface Target {
  readonly row: SettingRow;
  readonly layer: LayerName;
  readonly directory: HostPath;
}

/** Takes over one value as a user writes it; empty text resets the setting. */
export function assignText(
  loading: ImageLoading,
  value: TracedText,
  { row, layer, directory }: Target,
): void {
  if (value.text === '') {
    if (row.setting.codec.keepsOnEmpty === true && layer !== 'command line') return;
    clearSetting(loading, { row, layer }, value.origin());
    return;
  }
  const entries = take(loading, row.setting.codec.parse(value, parseContext(loading, directory)));
  if (entries !== undefined)
    assignEntries(loading, { row, layer }, { entries, origin: value.origin(), text: value.text });
}

/** What is assigned, for the history. */
interface Given {
  readonly entries: readonly Entry<unknown>[];
  readonly origin: Origin;
  readonly text?: string;
}

/** Adds entries to a setting, and to the history. */
export function assignEntries(
  loading: ImageLoading,
  place: SettingPlace,
  { entries, origin, text }: Given,
): void {
  const { row, layer } = place;
  assign(loading.values, place, entries);
  const secret = row.setting.codec.redact !== undefined;
  loading.history.push({
    setting: row.name,
    layer,
    kind: 'set',
    origin,
    text: secret ? undefined : text,
    entries,
  });
}

function clearSetting(loading: ImageLoading, place: SettingPlace, origin: Origin): void {
  clear(loading.values, place);
  const { row, layer } = place;
  loading.history.push({ setting: row.name, layer, kind: 'clear', origin, text: '', entries: [] });
}

function unknownSetting(
  { key, keyOrigin: origin }: ScannedAssignment,
  { prefix }: Pick<Position, 'prefix'>,
): Diagnostic {
  const severity = prefix === 'mkosi' ? 'warning' : 'error';
  const ignored = prefix === 'mkosi' ? ' and is ignored' : '';
  const near = closest(
    key,
    settingRows.map(({ name }) => name),
  );
  return fault(severity, {
    code: 'unknown-setting',
    message: `${key}= is not a setting${ignored}`,
    origin,
    hint:
      near === undefined ? 'See mkimg --help for the settings that there are.' : `Did you mean '${near}'?`,
  });
}

function oldName({ key, keyOrigin }: ScannedAssignment, { name }: SettingRow): Diagnostic {
  const message = `${key}= is called ${name}= now`;
  return fault('warning', { code: 'old-name', message, origin: keyOrigin, hint: `Write ${name}=.` });
}

function wrongSection(
  { keyOrigin }: ScannedAssignment,
  row: SettingRow,
  { position, section }: { readonly position: Pick<Position, 'prefix'>; readonly section: string },
): Diagnostic {
  return fault(position.prefix === 'mkosi' ? 'warning' : 'error', {
    code: 'wrong-section',
    message: `${row.name}= belongs to [${row.section}], not to [${section}]`,
    origin: keyOrigin,
    hint: `Move the line below the header [${row.section}].`,
  });
}

function fault(
  severity: Diagnostic['severity'],
  rest: { code: string; message: string; origin: Origin; hint: string },
): Diagnostic {
  return { severity, ...rest };
}
