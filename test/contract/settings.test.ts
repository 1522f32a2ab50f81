import { describe, expect, it } from 'vitest';
import { hostPath, imageName } from '../../src/base/brand.ts';
import type { ParseContext } from '../../src/config/codec.ts';
import type { FallbackContext } from '../../src/config/setting.ts';
import type { SettingRow } from '../../src/config/settings/table.ts';
import {
  findSection,
  findSetting,
  flagRows,
  oldFormFlagRows,
  settingRow,
  settingRows,
} from '../../src/config/settings/table.ts';
import { tracedWhole } from '../../src/config/traced-text.ts';
import { newValues, resolve } from '../../src/config/values.ts';
import { memoryFiles } from '../helpers/memory-files.ts';

const parseContext: ParseContext = {
  directory: hostPath('/project'),
  files: memoryFiles({ '/project/mkimg.conf': '' }),
  environment: {},
};
const fallbackContext: FallbackContext = {
  image: imageName('main'),
  directory: hostPath('/project'),
  configuration: hostPath('/project'),
  host: { architecture: 'x86-64', distribution: 'debian', codename: 'trixie' },
  environment: {},
};

function duplicates(names: readonly string[]): readonly string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}

describe.each(settingRows.map((row): [string, SettingRow] => [row.name, row]))('%s=', (name, row) => {
  const { setting } = row;

  it('is a name of this table that says what it is', () => {
    expect(name).toMatch(/^[A-Z][A-Za-z]+$/);
    expect(findSetting(name)).toBe(row);
    expect(findSection(row.section)).toBe(row.section);
    expect(setting.summary).toMatch(/^[A-Z].{5,70}[^.]$/);
    expect(setting.doc.length).toBeGreaterThan(10);
    expect(setting.codec.kind).not.toBe('');
  });

  it('has a default that follows from settings that it names, and that can be shown and read again', () => {
    for (const [needed, other] of Object.entries(setting.fallback.from)) {
      expect(findSetting(needed)?.setting).toBe(other);
    }
    const { value, isDefault } = resolve(newValues(), row, fallbackContext);
    expect(isDefault).toBe(true);
    if (value === undefined) return;
    const text = setting.codec.show(value);
    const parsed =
      text === '' ? undefined : setting.codec.parse(tracedWhole(text, { kind: 'default' }), parseContext);
    if (parsed?.ok === false) throw new Error(parsed.diagnostics[0]?.message);
    expect(setting.codec.collect(parsed?.value.map((entry) => entry.value) ?? [])).toEqual(value);
    expect(setting.codec.collect(setting.codec.items(value))).toEqual(value);
    expect(JSON.parse(JSON.stringify(setting.codec.json(value)))).toEqual(setting.codec.json(value));
  });

  it('has choices that can be written', () => {
    for (const choice of setting.codec.choices ?? []) {
      expect(setting.codec.parse(tracedWhole(choice, { kind: 'default' }), parseContext).ok).toBe(true);
    }
  });

  it('can take the files that it names as values', () => {
    const paths = (setting.implicit ?? []).filter(({ use }) => use !== 'content');
    expect(paths.length === 0 || setting.codec.fromFile !== undefined).toBe(true);
  });
});

describe('the table of settings', () => {
  it('has unique names, old names, flags, letters and files', () => {
    const settings = settingRows.map(({ setting }) => setting);
    const names = settingRows.flatMap(({ name, setting }) => [
      name,
      ...(setting.oldNames ?? []),
      ...Object.keys(setting.oldForms ?? {}),
    ]);
    expect(duplicates(names)).toEqual([]);
    const flags = [...flagRows, ...oldFormFlagRows].flatMap(({ long, short, shorthand, oldLongs }) =>
      [long, short ?? [], shorthand?.letter ?? [], oldLongs ?? []].flat(),
    );
    expect(duplicates(flags)).toEqual([]);
    expect(duplicates(settings.flatMap(({ specifier }) => specifier ?? []))).toEqual([]);
    // One key and one certificate serve all uses of them.
    const files = settings.flatMap(({ implicit }) => (implicit ?? []).map(({ suffix }) => suffix));
    expect(duplicates(files.filter((suffix) => suffix !== '.key' && suffix !== '.crt'))).toEqual([]);
  });

  it('has flags in the form that mkosi has', () => {
    const flagOf = (name: string): string | undefined =>
      flagRows.find(({ setting }) => setting === name)?.long;
    expect(['KernelCommandLine', 'CPUs', 'ImageId', 'Packages', 'EnvironmentFiles'].map(flagOf)).toEqual([
      'kernel-command-line',
      'cpus',
      'image-id',
      'package',
      'env-file',
    ]);
  });

  it('finds nothing under names that every object has', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect(findSetting(name)).toBeUndefined();
      expect(findSection(name)).toBeUndefined();
    }
    expect(settingRow('Format').section).toBe('Output');
  });
});
