import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { isRegularFile } from '../base/files.ts';
import { temporaryDirectory } from '../base/temporary.ts';
import { openSource } from '../formats/bytes.ts';
import { readPe, readPeSection } from '../formats/pe.ts';
import type { Inspection } from '../initrd/inspect.ts';
import { inspect } from '../initrd/inspect.ts';
import { joinFiles } from '../initrd/join.ts';
import { recognize } from '../initrd/recognize.ts';
import { knownSegments } from '../initrd/segment-cache.ts';
import { currentMode } from '../sandbox/namespace.ts';
import { readInitrd } from './initrd/check.ts';
import { initrdCache } from './initrd/request.ts';
import { inspectionText } from './inspect-text.ts';
import { reenter } from './session/command-line.ts';
import type { Verb, VerbContext } from './verb.ts';

const filesOption = { name: 'files', takesValue: false, summary: 'List all files, the largest first' };

export const inspectVerb: Verb = {
  name: 'inspect',
  summary: 'Show what an initrd or a unified kernel image consists of, and why',
  doc: `Lists the archives of an initrd, also of one that other programs made, packages by size, kernel modules with the
reason for each, firmware with the modules that ask for it, and libraries that programs would open and that are not there;
further what the kernel measures of it into PCR 9 of a TPM. Several files are taken for one initrd, as boot loaders join them.
Exit code 1 if a kernel would not start from it. Packages and reasons are known of initrds that \`mkimg initrd\` made, for as long as the cache remembers them.`,
  words: { usage: 'FILE...', choices: [] },
  answers: true,
  options: [filesOption],
  run: async (context) => {
    const files = await filesToInspect(context);
    // Programs that unpack what is compressed only run in a sandbox.
    if (currentMode() === undefined) return reenter(context);
    const inspection = await inspectFiles(files, context);
    const { json, extra } = context.options;
    const allFiles = filesOption.name in extra;
    context.print(
      json
        ? JSON.stringify(inspection, undefined, 2)
        : inspectionText(inspection, { file: files.join(' '), allFiles }),
    );
    return inspection.faults.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
};

async function filesToInspect({ words }: VerbContext): Promise<readonly HostPath[]> {
  if (words.length === 0)
    throw new MkimgError('bad-usage', 'mkimg inspect needs to know what to look into', {
      hint: "Write 'mkimg inspect FILE'.",
      class: 'usage',
    });
  const files = words.map((word) => hostPath(resolve(word)));
  for (const file of files) {
    if (await isRegularFile(file)) continue;
    throw new MkimgError('input-missing', `There is no file ${file}`, {
      hint: 'Name an initrd or a unified kernel image.',
      class: 'usage',
    });
  }
  return files;
}

async function inspectFiles(files: readonly HostPath[], context: VerbContext): Promise<Inspection> {
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-inspect-');
  const initrd = await joined(files, scratch.path);
  const setting = context.assignments.findLast((assignment) => assignment.setting === 'CacheDirectory');
  const remembered = await knownSegments(initrdCache(setting?.text));
  return await readInitrd(initrd, context, async ({ scan, report, unpacked }) => {
    using source = openSource(initrd);
    const known = recognize(source, scan.segments, remembered);
    return await inspect({ initrd: source, report, archives: unpacked.segments, known });
  });
}

/** One file, or several as a boot loader joins them. */
async function joined(files: readonly HostPath[], scratch: HostPath): Promise<HostPath> {
  const [first, ...more] = files;
  if (first !== undefined && more.length === 0) return initrdOf(first, scratch);
  const target = hostPath(join(scratch, 'joined'));
  await joinFiles(files, target);
  return target;
}

/** The file itself, or the initrd inside a unified kernel image. */
async function initrdOf(file: HostPath, scratch: HostPath): Promise<HostPath> {
  using source = openSource(file);
  return readPe(source) === undefined ? file : await initrdOfUki(file, scratch);
}

/** Copies the initrd out of a unified kernel image into a directory. @throws MkimgError `bad-initrd` */
export async function initrdOfUki(file: HostPath, scratch: HostPath): Promise<HostPath> {
  using source = openSource(file);
  const image = readPe(source);
  const content = image && readPeSection(source, image, '.initrd');
  if (content === undefined)
    throw new MkimgError(
      'bad-initrd',
      `${file} has no initrd: it is a PE image without the section .initrd`,
      {
        class: 'usage',
      },
    );
  const target = hostPath(join(scratch, 'initrd'));
  await writeFile(target, content);
  return target;
}
