import type { HostPath, ImageName } from '../base/brand.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import { isBuiltIn } from './history.ts';
import type { ResolvedImage } from './resolved-image.ts';
import type { ScannedFile } from './scanner.ts';
import { trim } from './traced-text.ts';

/** Keys whose value is one word that a condition names as it is: two different ones cannot both hold. */
const exactKeys: ReadonlySet<string> = new Set([
  'Architecture',
  'Distribution',
  'Format',
  'HostArchitecture',
  'Image',
  'Release',
  'ToolsTreeDistribution',
  'ToolsTreeRelease',
]);

/** A condition that must hold for its file to count: one without `|`. */
interface Demand {
  readonly key: string;
  readonly text: string;
  readonly negated: boolean;
  /** Worked out where there is something to say. */
  readonly origin: () => Origin;
}

/** Files whose [Match] sections can never hold, each told once. */
export function lintConditions(
  image: ResolvedImage,
  scanned: (path: HostPath) => ScannedFile,
  images: readonly ImageName[],
): readonly Diagnostic[] {
  const files = image.files.filter((visit) => !isBuiltIn(visit, image.files));
  const deciding = new Map(
    files.filter((file) => file.decidesForDirectory).map(({ directory, path }) => [directory, path]),
  );
  return files.flatMap(({ path, directory, decidesForDirectory }) => {
    const above = decidesForDirectory ? undefined : deciding.get(directory);
    const outer = above === undefined ? [] : demands(scanned(above));
    const own = demands(scanned(path));
    const contradiction = firstContradiction(own, outer);
    return [...(contradiction === undefined ? [] : [contradiction]), ...unknownImages(own, images)];
  });
}

function demands(file: ScannedFile): readonly Demand[] {
  return file.sections
    .filter(({ name }) => name === 'Match')
    .flatMap(({ assignments }) => assignments)
    .flatMap(({ key, value, keyOrigin }): readonly Demand[] => {
      const whole = value.text.trim();
      // What a specifier stands for is not known here, and of conditions with `|` one is enough.
      if (whole.startsWith('|') || whole.includes('%')) return [];
      const negated = whole.startsWith('!');
      const origin = (): Origin => (whole === '' ? keyOrigin : trim(value).origin());
      return [{ key, text: negated ? whole.slice(1).trim() : whole, negated, origin }];
    });
}

function firstContradiction(own: readonly Demand[], outer: readonly Demand[]): Diagnostic | undefined {
  for (const [index, demand] of own.entries()) {
    const other = [...outer, ...own.slice(0, index)].find((before) => contradicts(before, demand));
    if (other === undefined) continue;
    const { key, text, negated, origin } = demand;
    return {
      severity: 'warning',
      code: 'unreachable-match',
      message: `the file never counts: ${key}=${negated ? '!' : ''}${text} contradicts ${other.key}=${other.negated ? '!' : ''}${other.text}`,
      origin: origin(),
      related: [{ message: 'this condition must hold as well', origin: other.origin() }],
      hint: `To ask for one of several values, write ${key}=|VALUE for each.`,
    };
  }
  return undefined;
}

function contradicts(left: Demand, right: Demand): boolean {
  if (left.key !== right.key) return false;
  if (left.text === right.text) return left.negated !== right.negated;
  if (left.negated || right.negated || !exactKeys.has(left.key)) return false;
  // `uefi` stands for several architectures.
  return left.text !== 'uefi' && right.text !== 'uefi';
}

const builtInImages = ['main', 'default-initrd', 'tools'];

function unknownImages(own: readonly Demand[], images: readonly ImageName[]): readonly Diagnostic[] {
  const known = [...new Set([...images, ...builtInImages])];
  return own
    .filter(({ key, text, negated }) => key === 'Image' && !negated && !known.includes(text))
    .map(({ text, origin }) => {
      const near = closest(text, known);
      return {
        severity: 'warning',
        code: 'unreachable-match',
        message: `the file never counts: the project has no image '${text}'`,
        origin: origin(),
        hint: near === undefined ? `It has ${images.join(', ')}.` : `Did you mean '${near}'?`,
      };
    });
}
