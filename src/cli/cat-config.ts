import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { redacted } from '../config/codecs/scalars.ts';
import { hostFiles } from '../config/files.ts';
import type { ResolvedImage } from '../config/project.ts';
import type { ScannedAssignment } from '../config/scanner.ts';
import { scan } from '../config/scanner.ts';
import { findSetting } from '../config/settings/table.ts';
import { showSecretsOption, showsSecrets } from './secrets.ts';
import { describedImages, imageOption } from './session/images.ts';
import { readProject } from './session/project.ts';
import type { Verb } from './verb.ts';

export const catConfigVerb: Verb = {
  name: 'cat-config',
  summary: 'Print the configuration files that count, in the order in which they are read',
  doc: `Prints, image by image, every configuration file that counts, each below a heading with its path. Values of settings
that hold secrets are shown as \`***\`. \`--image\` picks one image.`,
  answers: true,
  options: [imageOption, showSecretsOption],
  run: async (context) => {
    const images = describedImages(await readProject(context), context);
    const show = showsSecrets(context)
      ? (path: HostPath) => hostFiles.read(path)
      : (path: HostPath) => withoutSecrets(path, hostFiles.read(path));
    context.print(context.options.json ? filesJson(images, show) : filesText(images, show));
    return 0;
  },
};

type Show = (path: HostPath) => string;

/** The files of each image below headings that begin with `#`. */
export function filesText(images: readonly ResolvedImage[], show: Show): string {
  return images
    .map((image) => {
      const files = countingFiles(image).map((path) => `### ${path}\n\n${show(path).trimEnd()}\n`);
      return [`## Image ${image.name}\n`, ...files].join('\n');
    })
    .join('\n');
}

/** The same as JSON. */
export function filesJson(images: readonly ResolvedImage[], show: Show): string {
  const list = images.map((image) => ({
    image: image.name,
    files: countingFiles(image).map((path) => ({ path, content: show(path) })),
  }));
  return JSON.stringify({ images: list }, undefined, 2);
}

function countingFiles({ files }: ResolvedImage): readonly HostPath[] {
  const counting = files.filter(({ failed }) => failed.length === 0).map(({ path }) => path);
  return [...new Set(counting)].map(hostPath);
}

/** The text of a file with `***` in the place of secret values. */
export function withoutSecrets(path: HostPath, text: string): string {
  const lines = text.split('\n');
  const dropped = new Set<number>();
  const assignments = scan(path, text).sections.flatMap((section) => section.assignments);
  for (const assignment of assignments.filter(({ key }) => isSecret(key))) {
    const { first, last } = extent(assignment);
    if (assignment.value.text === '') continue;
    lines[first - 1] = `${assignment.key}=${redacted}`;
    for (let line = first + 1; line <= last; line++) dropped.add(line);
  }
  return lines.filter((_line, index) => !dropped.has(index + 1)).join('\n');
}

function isSecret(key: string): boolean {
  return findSetting(key)?.setting.codec.redact !== undefined;
}

/** The lines from the name of a setting to the last one of its value. */
function extent({ keyOrigin, value }: ScannedAssignment): { readonly first: number; readonly last: number } {
  const end = value.origin(Math.max(0, value.text.length - 1));
  if (keyOrigin.kind !== 'file' || end.kind !== 'file') throw new Error('internal: a line without a place');
  return { first: keyOrigin.span.line, last: end.span.line };
}
