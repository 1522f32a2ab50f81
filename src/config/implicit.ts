import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { assignEntries, assignText } from './assignments.ts';
import type { ImageLoading, Position } from './loading.ts';
import { parseContext, take } from './loading.ts';
import { prohibition } from './prohibitions.ts';
import type { ImplicitFile } from './setting.ts';
import type { SettingRow } from './settings/table.ts';
import { settingRows } from './settings/table.ts';
import { tracedWhole, trim } from './traced-text.ts';

/** Takes over the files of a configuration directory that set a value by their name alone. */
export function applyImplicitFiles(loading: ImageLoading, position: Position): void {
  const names = new Set(loading.world.files.list(position.directory));
  for (const row of settingRows) {
    const { implicit: kinds = [] } = row.setting;
    // What this image may not set is not looked at: mkimg.key of a subimage, say.
    if (kinds.length === 0 || prohibition(loading, row, position) !== undefined) continue;
    for (const implicit of kinds) {
      if (names.has(`${position.prefix}${implicit.suffix}`))
        applyImplicit(loading, { row, implicit, position });
    }
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
      for (const name of files.list(path)) {
        if (name.endsWith(implicit.ending ?? '')) assignFile(loading, hostPath(join(path, name)), found);
      }
      break;
    case 'content':
      assignContent(loading, path, found);
  }
}

function assignFile(loading: ImageLoading, path: HostPath, { row, position }: Found): void {
  const { fromFile } = row.setting.codec;
  if (fromFile === undefined) throw new Error(`internal: ${row.name} cannot be set by a file`);
  const origin = { kind: 'path', path } as const;
  const entries = take(loading, fromFile(path, origin, parseContext(loading, position.directory)));
  if (entries !== undefined) assignEntries(loading, { row, layer: position.layer }, { entries, origin });
}

function assignContent(loading: ImageLoading, path: HostPath, { row, position }: Found): void {
  const content = contentOf(loading, path, row);
  if (content === undefined) return;
  const text = trim(tracedWhole(content, { kind: 'path', path }));
  if (text.text === '') return;
  assignText(loading, text, { row, layer: position.layer, directory: position.directory });
}

/** The text of a file, or what it writes when it is a program; undefined when it cannot be told (yet). */
function contentOf(loading: ImageLoading, path: HostPath, row: SettingRow): string | undefined {
  const { files, programs } = loading.world;
  const facts = files.stat(path);
  if (facts?.executable !== true) {
    if (row.setting.codec.redact !== undefined && facts?.openToOthers === true)
      loading.faults.push(openToOthers(path));
    const content = files.read(path);
    if (!content.startsWith('#!/')) return content;
    loading.faults.push(notExecutable(path, row));
    return undefined;
  }
  const outcome = programs.ask({ program: path, argv: [], directory: loading.directory });
  if (outcome === undefined) return undefined;
  if (outcome !== 'refused' && outcome.ok) return outcome.output;
  loading.faults.push(outcome === 'refused' ? notRun(path, row) : failedProgram(path, row, outcome.reason));
  return undefined;
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

function notRun(path: HostPath, row: SettingRow): Diagnostic {
  return {
    severity: 'error',
    code: 'executable-value',
    message: `it is a program, and programs are not run here to set ${row.name}=`,
    origin: { kind: 'path', path },
    hint: `Store its output in the file and make it not executable (chmod -x), or give ${row.name}= itself.`,
  };
}

function notExecutable(path: HostPath, row: SettingRow): Diagnostic {
  return {
    severity: 'error',
    code: 'executable-value',
    message: `it looks like a program, but is not executable, so it cannot set ${row.name}=`,
    origin: { kind: 'path', path },
    hint: `Run chmod +x ${path}.`,
  };
}

function failedProgram(path: HostPath, row: SettingRow, reason: string): Diagnostic {
  return {
    severity: 'error',
    code: 'program-failed',
    message: `the program that sets ${row.name}= failed: ${reason}`,
    origin: { kind: 'path', path },
    hint: `Run ${path} by hand to see what is wrong.`,
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
