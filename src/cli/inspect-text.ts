import type { FileReport, Inspection, PackageShare, PartReport } from '../initrd/inspect.ts';
import type { MissingLibrary } from '../initrd/inspect-libraries.ts';
import { initrdRegister } from '../initrd/measurement.ts';
import type { FirmwareReport, ModuleReport } from '../initrd/inspect-modules.ts';
import { faultLine } from './initrd/check.ts';
import { formatBytes } from './reporters/format.ts';
import { table } from './reporters/table.ts';

export interface InspectionStyle {
  readonly file: string;
  readonly allFiles: boolean;
}

/** Files that are shown when not all are wanted. */
const someFiles = 15;

/** What `mkimg inspect` prints: one paragraph for each kind of thing that is there. */
export function inspectionText(inspection: Inspection, { file, allFiles }: InspectionStyle): string {
  const { measurement, parts, faults, packages, files, modules, firmware, missingLibraries } = inspection;
  const shown = allFiles ? files : files.slice(0, someFiles);
  const heading = shown.length < files.length ? `largest files of ${files.length}` : `files: ${files.length}`;
  return [
    [
      file,
      ...partLines(parts),
      ...faults.map(faultLine),
      `  measured into PCR ${initrdRegister}: ${measurement}`,
    ],
    paragraph(`packages: ${packages.length}`, packages.map(packageCells), [2, 3]),
    paragraph(`kernel modules: ${modules.length}`, modules.map(moduleCells), [1, 2]),
    paragraph(`firmware: ${firmware.length}`, firmware.map(firmwareCells), [1, 2]),
    paragraph(
      `libraries that are not there: ${missingLibraries.length}`,
      missingLibraries.map(libraryCells),
      [0, 1, 2],
    ),
    paragraph(heading, shown.map(fileCells), [1]),
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function paragraph(
  heading: string,
  rows: readonly (readonly string[])[],
  left: readonly number[],
): readonly string[] {
  return rows.length === 0 ? [] : [heading, ...table(rows, left).map((line) => `  ${line}`)];
}

function partLines(parts: readonly PartReport[]): readonly string[] {
  const rows = [
    ['part', 'offset', 'packed', 'size', 'unpacked', 'paths'],
    ...parts.map(({ role, encoding, offset, size, unpacked, paths }) => [
      ...[role ?? '-', String(offset), encoding, formatBytes(size), formatBytes(unpacked), String(paths)],
    ]),
  ];
  return table(rows, [0]).map((line) => `  ${line}`);
}

function packageCells(share: PackageShare): readonly string[] {
  const { name, version, files, bytes, isRepacked, reason } = share;
  const remarks = [
    ...(isRepacked === true ? ['from installed files'] : []),
    ...(reason === undefined ? [] : [reason]),
  ];
  return [
    formatBytes(bytes),
    `${files} ${files === 1 ? 'file' : 'files'}`,
    `${name} ${version}`,
    remarks.join('; '),
  ];
}

function moduleCells({ path, bytes, reasons }: ModuleReport): readonly string[] {
  const name = path.slice(path.indexOf('modules/') + 'modules/'.length);
  return [formatBytes(bytes), name, reasons.join('; ')];
}

function firmwareCells({ path, bytes, requestedBy }: FirmwareReport): readonly string[] {
  const name = path.slice(path.indexOf('firmware/') + 'firmware/'.length);
  return [formatBytes(bytes), name, requestedBy.length === 0 ? '' : `asked for by ${requestedBy.join(', ')}`];
}

function libraryCells({ sonames, priority, feature, by }: MissingLibrary): readonly string[] {
  const first = by[0] ?? '';
  const askers = by.length > 1 ? `${first} and ${by.length - 1} more` : first;
  return [priority, sonames.join(' or '), `${feature}: ${askers}`];
}

function fileCells({ path, bytes, links = [] }: FileReport): readonly string[] {
  const more = links.length === 1 ? ` and ${links[0] ?? ''}` : ` and ${links.length} more names`;
  return [formatBytes(bytes), links.length === 0 ? path : `${path}${more}`];
}
