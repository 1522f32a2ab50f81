import type { VerbOption } from './verb.ts';
import type { VerbContext } from './verb.ts';

/** Of verbs that show values. */
export const showSecretsOption: VerbOption = {
  name: 'show-secrets',
  takesValue: false,
  summary: 'Show passwords and credentials (also MKIMG_SHOW_SECRETS=1)',
};

/** Whether the user asked to see secrets. */
export function showsSecrets({ options }: Pick<VerbContext, 'options'>): boolean {
  return options.extra[showSecretsOption.name] !== undefined || process.env['MKIMG_SHOW_SECRETS'] === '1';
}
