import type { SettingRow } from '../config/settings/table.ts';
import { findSetting, flagRows, settingRows } from '../config/settings/table.ts';

/** The name without what else users write: `Packages=`, `--package`. */
export function bareName(word: string): string {
  return word.replace(/^--?/, '').replace(/=.*$/s, '');
}

/** A setting by a name as a user types it: in any case, as in a file or as its flag; old names too. */
export function settingNamed(word: string): SettingRow | undefined {
  const name = bareName(word);
  const lower = name.toLowerCase();
  const flag = flagRows.find(({ long }) => long === lower);
  return (
    findSetting(name) ??
    settingRows.find((row) => row.name.toLowerCase() === lower) ??
    (flag === undefined ? undefined : findSetting(flag.setting))
  );
}
