import type { HostPath } from '../base/brand.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import { nameFaults } from './assignments.ts';
import { prefixOf, unknownSection } from './directory.ts';
import { explained } from './explanation.ts';
import type { ConfigFiles } from './files.ts';
import { lintConditions } from './lint-conditions.ts';
import type { Prefix } from './loading.ts';
import type { Project } from './project.ts';
import { distinct } from './reading.ts';
import { repeatedItems } from './repeated-items.ts';
import type { ResolvedImage } from './resolved-image.ts';
import type { ScannedFile } from './scanner.ts';
import { scan } from './scanner.ts';
import type { SettingRow } from './settings/table.ts';
import { conditionSections, findSection, settingRows } from './settings/table.ts';
import { skippedFiles } from './skipped.ts';
import { filesBesideDropIns } from './unused.ts';

/**
 * What can be said against a configuration that was read without errors: lines without effect, items that come twice,
 * conditions that never hold, and faults in files that do not count at present. A value that equals the default is no
 * fault: it may be there to be seen.
 */
export function lintProject(project: Project, files: ConfigFiles): readonly Diagnostic[] {
  const images = [...(project.tools === undefined ? [] : [project.tools]), ...project.images];
  const scans = new Map(project.scans);
  const scanned = (path: HostPath): ScannedFile => {
    const known = scans.get(path) ?? scan(path, files.read(path));
    scans.set(path, known);
    return known;
  };
  const findings = images.flatMap((image) => [
    ...settingRows.flatMap((row) => lintSetting(image, row, scanned)),
    ...lintSkipped(image, files, scanned),
    ...lintConditions(
      image,
      scanned,
      project.images.map(({ name }) => name),
    ),
  ]);
  return distinct([...findings, ...idleToolsTreeSettings(project), ...filesBesideDropIns(images, files)]);
}

/** What describes the tools tree of ToolsTree=default, in a project that has none. */
function idleToolsTreeSettings({ main, tools }: Project): readonly Diagnostic[] {
  if (tools !== undefined) return [];
  return main.assignments
    .filter(({ setting }) => /^ToolsTree./.test(setting) && setting !== 'ToolsTreeCertificates')
    .map(({ setting, origin }) => ({
      severity: 'warning',
      code: 'idle-setting',
      message: `${setting}= has no effect: it describes the tools tree of ToolsTree=default, and ToolsTree= says something else`,
      origin,
      hint: 'Add ToolsTree=default to [Build], or remove this line.',
    }));
}

function lintSetting(
  image: ResolvedImage,
  row: SettingRow,
  scanned: (path: HostPath) => ScannedFile,
): readonly Diagnostic[] {
  return [...idleRemovals(image, row), ...repeatedItems(image, row, scanned), ...overridden(image, row)];
}

function idleRemovals(image: ResolvedImage, row: SettingRow): readonly Diagnostic[] {
  return image.resolved(row.name).idleRemovals.map(({ value, origin }) => ({
    severity: 'warning',
    code: 'idle-removal',
    message: `there is no '${row.setting.codec.label(value)}' in ${row.name}= to take back`,
    origin,
    hint: 'Remove it, or move it below the line that adds the item.',
  }));
}

/** Assignments that another line of the same file takes the effect of. */
function overridden(image: ResolvedImage, row: SettingRow): readonly Diagnostic[] {
  const assignments = image.assignments.filter(({ setting }) => setting === row.name);
  const places = assignments.flatMap(({ origin }) => fileOf(origin) ?? []);
  if (new Set(places).size === places.length) return [];
  return explained(image, row, assignments).flatMap(({ assignment, effect, by }): readonly Diagnostic[] => {
    const { origin } = assignment;
    if (
      effect !== 'overridden' ||
      by === undefined ||
      fileOf(by) === undefined ||
      fileOf(by) !== fileOf(origin)
    )
      return [];
    return [
      {
        severity: 'warning',
        code: 'overridden-in-file',
        message: `this line has no effect: another line of the file decides ${row.name}=`,
        origin,
        related: [{ message: 'this one', origin: by }],
        hint: 'Remove one of them.',
      },
    ];
  });
}

function fileOf(origin: Origin): string | undefined {
  return origin.kind === 'file' ? origin.span.file : undefined;
}

/** The prefix of the innermost directory of drop-ins or profiles that a file is in. */
function prefixWithin(path: HostPath): Prefix | undefined {
  const names = path.split('/').reverse();
  return (['mkimg', 'mkosi'] as const).find(
    (prefix) => names.find((name) => /^(?:mkimg|mkosi)\./.test(name))?.startsWith(`${prefix}.`) === true,
  );
}

/** Sections and names of settings in files that do not count: they will, for another release or with another profile. */
function lintSkipped(
  image: ResolvedImage,
  files: ConfigFiles,
  scanned: (path: HostPath) => ScannedFile,
): readonly Diagnostic[] {
  return skippedFiles(image, files).flatMap(({ path, directory }) => {
    const file = scanned(path);
    const position = { prefix: prefixOf(files, directory) ?? prefixWithin(path) ?? 'mkimg' };
    const lines = file.sections
      .filter(({ name }) => name !== '' && !conditionSections.some((section) => section === name))
      .flatMap((section) => {
        if (findSection(section.name) === undefined) return [unknownSection(section)];
        return section.assignments.flatMap((line) => nameFaults(line, { position, section: section.name }));
      });
    return [...file.faults, ...lines];
  });
}
