import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import type { ImageLoading, Position } from './loading.ts';
import { parseContext, take } from './loading.ts';
import type { ImplicitFile } from './setting.ts';
import type { SettingRow } from './settings/table.ts';
import { settingRows } from './settings/table.ts';
import { tracedWhole, trim } from './traced-text.ts';
import { assign } from './values.ts';

/** Takes over the files of a configuration directory that set a value by their name alone. */
export function applyImplicitFiles(loading: ImageLoading, position: Position): void {
  for (const row of settingRows) {
    for (const implicit of row.setting.implicit ?? []) applyImplicit(loading, { row, implicit, position });
  }
}

interface Found {
  readonly row: SettingRow;
  readonly implicit: ImplicitFile;
  readonly position: Position;
}

function applyImplicit(loading: ImageLoading, found: Found): void {
  const { row, implicit, position } = found;
  const { files } = loading.world;
  const path = hostPath(join(position.directory, `${position.prefix}${implicit.suffix}`));
  const facts = files.stat(path);
  if (facts === undefined) return;
  if (implicit.type !== 'any' && facts.directory !== (implicit.type === 'directory')) {
    loading.faults.push(wrongType(path, row, implicit));
    return;
  }
  switch (implicit.use) {
    case 'path':
      assignFile(loading, path, found);
      break;
    case 'entries':
      for (const name of files.list(path)) assignFile(loading, hostPath(join(path, name)), found);
      break;
    case 'content':
      assignContent(loading, path, found);
  }
}

function assignFile(loading: ImageLoading, path: HostPath, { row, position }: Found): void {
  const { fromFile } = row.setting.codec;
  if (fromFile === undefined) throw new Error(`internal: ${row.name} cannot be set by a file`);
  const context = parseContext(loading, position.directory);
  const entries = take(loading, fromFile(path, { kind: 'path', path }, context));
  if (entries !== undefined) assign(loading.values, { row, layer: position.layer }, entries);
}

function assignContent(loading: ImageLoading, path: HostPath, { row, position }: Found): void {
  const { files } = loading.world;
  const facts = files.stat(path);
  if (facts?.executable === true) {
    loading.faults.push(executable(path, row));
    return;
  }
  if (row.setting.codec.redact !== undefined && facts?.openToOthers === true) {
    loading.faults.push(openToOthers(path));
  }
  const text = trim(tracedWhole(files.read(path), { kind: 'path', path }));
  if (text.text === '') return;
  const entries = take(loading, row.setting.codec.parse(text, parseContext(loading, position.directory)));
  if (entries !== undefined) assign(loading.values, { row, layer: position.layer }, entries);
}

function wrongType(path: HostPath, row: SettingRow, implicit: ImplicitFile): Diagnostic {
  const wanted = implicit.type === 'directory' ? 'not a directory' : 'a directory';
  return {
    severity: 'warning',
    code: 'implicit-file-type',
    message: `it is ${wanted}, so it does not set ${row.name}=`,
    origin: { kind: 'path', path },
  };
}

function executable(path: HostPath, row: SettingRow): Diagnostic {
  return {
    severity: 'error',
    code: 'executable-value',
    message: `it is a program; mkimg does not run programs to set ${row.name}= yet`,
    origin: { kind: 'path', path },
    hint: `Store its output in the file and make it not executable (chmod -x), or give ${row.name}= itself.`,
  };
}

function openToOthers(path: HostPath): Diagnostic {
  return {
    severity: 'error',
    code: 'secret-open-to-others',
    message: 'other users can read this secret',
    origin: { kind: 'path', path },
    hint: `Run chmod 600 ${path}.`,
  };
}
