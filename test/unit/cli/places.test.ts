import { describe, expect, test } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import type { Origin } from '../../../src/base/diagnostic.ts';
import { MkimgError } from '../../../src/base/errors.ts';
import { describeOrigin, excerptOf } from '../../../src/cli/diagnostics.ts';
import { withPlaces } from '../../../src/cli/session/places.ts';
import type { ResolvedImage } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import { memoryFiles } from '../../helpers/memory-files.ts';

const text = `[Distribution]
Mirror=http://mirror.example/debian

[Content]
Packages=
	bash
	vmi
	emcas
`;

async function image(files: Readonly<Record<string, string>>): Promise<ResolvedImage> {
  const project = await loadProject({
    directory: hostPath('/p'),
    assignments: [],
    environment: {},
    files: memoryFiles(files),
  });
  if (!project.ok) throw new Error(JSON.stringify(project.diagnostics));
  return project.value.main;
}

function placesOf(error: unknown): readonly (string | undefined)[] {
  if (!(error instanceof MkimgError)) throw new Error('no MkimgError');
  return [error.origin, ...error.alsoAt].map((origin) => origin && describeOrigin(origin));
}

describe('the place of an error', () => {
  test('is the item that the error names, each one', async () => {
    const main = await image({ '/p/mkimg.conf': text });
    const origin = main.originOf('Packages');
    const error = withPlaces(new MkimgError('package-not-found', 'no', { origin, items: ['vmi', 'emcas'] }), [
      main,
    ]);
    expect(placesOf(error)).toEqual(['/p/mkimg.conf:7:2', '/p/mkimg.conf:8:2']);
    const places: Origin[] =
      error instanceof MkimgError && error.origin ? [error.origin, ...error.alsoAt] : [];
    expect(excerptOf(places, () => text)).toEqual([
      '    \tvmi',
      '    \t~~~',
      '/p/mkimg.conf:8:2: here as well',
      '    \temcas',
      '    \t~~~~~',
    ]);
  });

  test('is Mirror= where a repository is at fault, not the packages', async () => {
    const main = await image({ '/p/mkimg.conf': text });
    const origin = main.originOf('Packages');
    const message = 'Cannot fetch http://mirror.example/debian/dists/trixie/InRelease: no';
    expect(placesOf(withPlaces(new MkimgError('mirror-unreachable', message, { origin }), [main]))).toEqual([
      '/p/mkimg.conf:2:8',
    ]);
    const elsewhere = new MkimgError('mirror-unreachable', 'Cannot fetch http://other.example/', { origin });
    expect(placesOf(withPlaces(elsewhere, [main]))).toEqual([undefined]);
    const ofTools = new MkimgError('mirror-unreachable', message);
    expect(placesOf(withPlaces(ofTools, [main]))).toEqual(['/p/mkimg.conf:2:8']);
  });

  test('is the setting that chose the output directory', async () => {
    const main = await image({ '/p/mkimg.conf': `${text}[Output]\nOutputDirectory=/x\n` });
    expect(placesOf(withPlaces(new MkimgError('output-not-writable', 'no'), [main]))).toEqual([
      '/p/mkimg.conf:10:17',
    ]);
  });

  test('stays what it is where nothing better is known', async () => {
    const main = await image({ '/p/mkimg.conf': text });
    const error = new MkimgError('package-conflict', 'no', { origin: main.originOf('Packages') });
    expect(withPlaces(error, [main])).toBe(error);
    const other = new Error('internal: x');
    expect(withPlaces(other, [main])).toBe(other);
  });
});
