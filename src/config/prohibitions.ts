import type { Diagnostic } from '../base/diagnostic.ts';
import type { ImageLoading, Position } from './loading.ts';
import type { Scope } from './setting.ts';
import type { SettingName, SettingRow } from './settings/table.ts';

/** Settings of all images that a subimage may decide for itself, if its files have mkimg's names. */
export const freeSettings: ReadonlySet<SettingName> = new Set<SettingName>([
  'Release',
  'Architecture',
  'Mirror',
  'OutputDirectory',
  'Incremental',
  'WithNetwork',
  'ToolsTree',
]);

/** Why a setting cannot be set where reading stands; undefined where it can. */
export function prohibition(
  loading: ImageLoading,
  row: SettingRow,
  { prefix, layer }: Pick<Position, 'prefix' | 'layer'>,
): Diagnostic | undefined {
  const { role, name: image } = loading;
  // What mkimg brings along is no user's to keep apart.
  if (role === 'main' || layer === 'built-in') return undefined;
  const { scope, inTools } = row.setting;
  if (role === 'tools') return inTools === true ? undefined : notForTools(row);
  if (scope === 'universal') {
    const free = role === 'subimage' && freeSettings.has(row.name);
    return free && prefix === 'mkimg' ? undefined : decidedByMain(row, { image, free });
  }
  return mainScopes.includes(scope)
    ? fault(`${row.name}= can be set in the main image only, not for '${image}'`, 'Set it in the main image.')
    : undefined;
}

const mainScopes: readonly Scope[] = ['multiversal', 'main', 'tools', 'initrd'];

function notForTools({ name }: SettingRow): Diagnostic {
  return fault(`${name}= cannot be set for the tools tree`, 'Tools trees are never booted or packed.');
}

function decidedByMain(
  { name }: SettingRow,
  { image, free }: { readonly image: string; readonly free: boolean },
): Diagnostic {
  return fault(
    `${name}= cannot be set for the image '${image}': the main image decides it for all images`,
    free
      ? 'Set it in the main image. Files with the prefix mkimg. may set it for one image.'
      : 'Set it in the main image.',
  );
}

function fault(message: string, hint: string): Diagnostic {
  return { severity: 'error', code: 'prohibited-setting', message, hint };
}
