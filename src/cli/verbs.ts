import { buildVerb } from './build.ts';
import { summaryVerb } from './summary.ts';
import type { Verb } from './verb.ts';

/** All commands, in the order of the help text. A new one: one import line and one entry here. */
export const verbs: readonly Verb[] = [buildVerb, summaryVerb];

/** What runs when no verb is given. */
export const defaultVerb = 'build';
