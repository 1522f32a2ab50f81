import type { Codec } from '../codec.ts';
import { badValue } from '../codec.ts';
import type { Pair } from './collections.ts';
import { pairs } from './collections.ts';

/** What to do about a library that a program would open and that an image lacks. */
export type DlopenAction = 'require' | 'add' | 'warn' | 'ignore';

const actions: readonly string[] = ['require', 'add', 'warn', 'ignore'] satisfies readonly DlopenAction[];

/** `NAME=ACTION` words. */
export const dlopenPolicy: Codec<Readonly<Record<string, DlopenAction>>, Pair> = {
  kind: 'list of NAME=ACTION',
  merge: 'assign',
  schema: { type: 'object', additionalProperties: { enum: actions } },
  parse: (text, context) => {
    const parsed = pairs.parse(text, context);
    if (!parsed.ok) return parsed;
    const wrong = parsed.value.find(({ value: [, action] }) => !actions.includes(action));
    if (wrong === undefined) return parsed;
    const [name, action] = wrong.value;
    return badValue(
      text,
      `'${action}' is nothing to do about ${name}`,
      `Write one of ${actions.join(', ')}.`,
    );
  },
  collect: (items) => Object.fromEntries(items.map(([name, action]) => [name, actionOf(action)])),
  items: (value) => Object.entries(value),
  show: (value) => pairs.show(value),
  label: ([name]) => name,
  json: (value) => value,
};

function actionOf(text: string): DlopenAction {
  return text === 'require' || text === 'add' || text === 'warn' ? text : 'ignore';
}
