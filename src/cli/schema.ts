import { configurationSchema } from '../config/schema.ts';
import type { Verb } from './verb.ts';

export const schemaVerb: Verb = {
  name: 'schema',
  summary: 'Print a JSON Schema of the configuration language',
  doc: `Prints a JSON Schema (draft 2020-12) of what \`mkimg summary --json\` prints: every setting with the form of its
values; \`$defs.test\` is the form of boot tests. Programs that read the summary can be checked against it, and editors can complete from it.`,
  answers: true,
  options: [],
  run: (context) => {
    context.print(JSON.stringify(configurationSchema(), undefined, 2));
    return Promise.resolve(0);
  },
};
