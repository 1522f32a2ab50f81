import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { isRegularFile } from '../../base/files.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { openSource } from '../../formats/bytes.ts';
import type { InitrdFault, InitrdScan } from '../../formats/initrd.ts';
import { scanInitrd } from '../../formats/initrd.ts';
import type { InitrdReport } from '../../initrd/check.ts';
import { reportOn } from '../../initrd/check.ts';
import type { UnpackedInitrd } from '../../initrd/unpack.ts';
import { unpackingNeeds, unpackInitrd } from '../../initrd/unpack.ts';
import { currentMode } from '../../sandbox/namespace.ts';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { missingToolsError, probeTools } from '../../sandbox/tools.ts';
import { formatBytes } from '../reporters/format.ts';
import { table } from '../reporters/table.ts';
import { reenter } from '../session/command-line.ts';
import type { VerbContext } from '../verb.ts';

/** `mkimg initrd check FILE`: reads an initrd as the kernel does. Exit code 1 if a kernel would not start from it. */
export async function runCheck(context: VerbContext): Promise<number> {
  const file = fileToCheck(context);
  // Programs that unpack what is compressed only run in a sandbox.
  if (currentMode() === undefined) return reenter(context);
  const report = await checkInitrd(file, context);
  context.print(context.options.json ? reportJson(report) : reportText(file, report));
  return report.faults.some(({ severity }) => severity === 'error') ? 1 : 0;
}

function fileToCheck({ words }: VerbContext): HostPath {
  const [action, file, ...more] = words;
  if (action !== 'check' || file === undefined || more.length > 0)
    throw new MkimgError('bad-usage', 'mkimg initrd needs to know what to check', {
      hint: "Write 'mkimg initrd check FILE'.",
      class: 'usage',
    });
  return hostPath(resolve(file));
}

async function checkInitrd(file: HostPath, context: VerbContext): Promise<InitrdReport> {
  if (!(await isRegularFile(file)))
    throw new MkimgError('input-missing', `There is no file ${file}`, {
      hint: 'Name the initrd to check.',
      class: 'usage',
    });
  return readInitrd(file, context, ({ report }) => report);
}

/** An initrd as the kernel reads it. */
export interface ReadInitrd {
  readonly scan: InitrdScan;
  readonly report: InitrdReport;
  readonly unpacked: UnpackedInitrd;
}

/** Unpacks an initrd for as long as it is looked at. */
export async function readInitrd<T>(
  file: HostPath,
  { events, signal }: VerbContext,
  look: (initrd: ReadInitrd) => T | Promise<T>,
): Promise<T> {
  const scan = scanFile(file);
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-initrd-');
  const tools = { kind: 'host' } as const;
  const versions = hostPath(join(scratch.path, 'tools.json'));
  const { missing } = await probeTools(unpackingNeeds(scan.segments), tools, versions);
  if (missing.length > 0) throw missingToolsError(missing, tools);
  const sandbox = createSandbox({ mode: currentMode() ?? 'root', tools, events, signal });
  const request = { initrd: file, segments: scan.segments, scratch: scratch.path, sandbox };
  using unpacked = await unpackInitrd(request);
  return await look({ scan, unpacked, report: reportOn(unpacked, scan.faults) });
}

function scanFile(file: HostPath): InitrdScan {
  using source = openSource(file);
  return scanInitrd(source);
}

function reportJson({ segments, faults, nodes }: InitrdReport): string {
  return JSON.stringify({ segments, paths: nodes.size, faults }, undefined, 2);
}

/** A table of segments, the faults, and a verdict. */
export function reportText(file: HostPath, { segments, faults, nodes }: InitrdReport): string {
  const rows = [
    ['offset', 'packed', 'size', 'unpacked', 'paths'],
    ...segments.map(({ encoding, offset, size, unpacked, paths }) => [
      ...[String(offset), encoding, formatBytes(size), formatBytes(unpacked), String(paths)],
    ]),
  ];
  const errors = faults.filter(({ severity }) => severity === 'error').length;
  const verdict =
    errors === 0
      ? `${file}: the kernel takes it: ${nodes.size} paths in ${segments.length} ${segments.length === 1 ? 'archive' : 'archives'}`
      : `${file}: ${errors} ${errors === 1 ? 'fault' : 'faults'}`;
  return [...table(rows), ...faults.map(faultLine), verdict].join('\n');
}

/** A fault as people read it. */
export function faultLine({ severity, offset, message }: InitrdFault): string {
  return `${severity}: ${offset === undefined ? '' : `archive at byte ${offset}: `}${message}`;
}
