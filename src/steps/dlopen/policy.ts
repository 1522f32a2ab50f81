import type { DlopenNote } from '../../formats/dlopen.ts';
import type { DlopenAction } from '../../config/codecs/dlopen-policy.ts';
import type { DlopenPolicy } from '../../plan/vocabulary.ts';

/** What is done where nothing is said. */
const defaults: Readonly<Record<DlopenNote['priority'], DlopenAction>> = {
  required: 'require',
  recommended: 'warn',
  suggested: 'ignore',
};

/** What shall be done when none of the libraries of a note is there: the most special word counts. */
export function dlopenAction({ sonames, feature, priority }: DlopenNote, policy: DlopenPolicy): DlopenAction {
  const keys = [...sonames, ...(feature === '' ? [] : [feature]), priority];
  const key = keys.find((candidate) => Object.hasOwn(policy, candidate));
  return (key === undefined ? undefined : policy[key]) ?? defaults[priority];
}

/** `libtss2-esys.so.0 (tpm: Support for TPM)`. */
export function describeNote({ sonames, feature, description }: DlopenNote): string {
  const purpose = [feature, description].filter((text) => text !== '').join(': ');
  return `${sonames.join(' or ')}${purpose === '' ? '' : ` (${purpose})`}`;
}
