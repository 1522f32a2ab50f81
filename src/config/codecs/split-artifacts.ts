import { ok } from '../../base/diagnostic.ts';
import type { Codec } from '../codec.ts';
import { enumerationList } from './collections.ts';
import { booleanOf, enumeration } from './scalars.ts';

const artifacts = ['uki', 'kernel', 'initrd'] as const;
export type SplitArtifact = (typeof artifacts)[number];

const later = [
  'os-release',
  'pcrs',
  'partitions',
  'roothash',
  'kernel-modules-initrd',
  'repart-definitions',
  'tar',
];

const words = enumerationList<SplitArtifact>(enumeration(artifacts, { later }));

/** Parts of an image to write as files; yes and no stand for all and none. */
export const splitArtifacts: Codec<readonly SplitArtifact[], SplitArtifact> = {
  ...words,
  parse: (text, context) => {
    const all = booleanOf(text.text);
    if (all === undefined) return words.parse(text, context);
    return ok(all ? artifacts.map((value) => ({ value, origin: text.origin() })) : []);
  },
};
