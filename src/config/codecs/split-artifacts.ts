import { ok } from '../../base/diagnostic.ts';
import type { Codec } from '../codec.ts';
import { enumerationList } from './collections.ts';
import { booleanOf, enumeration } from './scalars.ts';

const artifacts = ['uki', 'kernel', 'initrd'] as const;
const later = [
  'partitions',
  'tar',
  'pcrs',
  'roothash',
  'os-release',
  'kernel-modules-initrd',
  'repart-definitions',
] as const;
export type SplitArtifact = (typeof artifacts)[number] | (typeof later)[number];

const words = enumerationList<SplitArtifact>(enumeration(artifacts, { later }));

/** Parts of an image to write as files. For old configurations: no stands for the default, yes for partitions beside it. */
export const splitArtifacts: Codec<readonly SplitArtifact[], SplitArtifact> = {
  ...words,
  parse: (text, context) => {
    const more = booleanOf(text.text);
    if (more === undefined) return words.parse(text, context);
    const chosen: readonly SplitArtifact[] = more ? [...artifacts, 'partitions'] : artifacts;
    return ok(chosen.map((value) => ({ value, origin: text.origin(), restarts: true as const })));
  },
};
