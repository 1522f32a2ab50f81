import { buildVerb } from './build.ts';
import { bumpVerb } from './bump.ts';
import { cacheVerb } from './cache.ts';
import { catConfigVerb } from './cat-config.ts';
import { cleanVerb } from './clean.ts';
import { completionVerb } from './completion.ts';
import { doctorVerb } from './doctor.ts';
import { documentationVerb } from './documentation.ts';
import { explainVerb } from './explain.ts';
import { helpVerb } from './help.ts';
import { initVerb } from './init.ts';
import { initrdVerb } from './initrd.ts';
import { inspectVerb } from './inspect.ts';
import { lintVerb } from './lint.ts';
import { planVerb } from './plan.ts';
import { qemuVerb } from './qemu.ts';
import { consoleVerb } from './running/console.ts';
import { bootVerb, shellVerb } from './running/container.ts';
import { journalVerbs } from './running/journal.ts';
import { sshVerb } from './running/ssh.ts';
import { schemaVerb } from './schema.ts';
import { summaryVerb } from './summary.ts';
import { testVerb } from './test.ts';
import { runtimeHooks, toolsVerb } from './tools.ts';
import type { Verb } from './verb.ts';

/** All commands, in the order of the help text. A new one: one import line and one entry here. */
export const verbs: readonly Verb[] = [
  buildVerb,
  summaryVerb,
  explainVerb,
  catConfigVerb,
  lintVerb,
  planVerb,
  qemuVerb(runtimeHooks),
  testVerb(runtimeHooks),
  consoleVerb,
  sshVerb,
  ...journalVerbs,
  shellVerb(runtimeHooks),
  bootVerb(runtimeHooks),
  cleanVerb,
  cacheVerb,
  bumpVerb,
  initrdVerb,
  inspectVerb,
  initVerb,
  toolsVerb,
  doctorVerb,
  helpVerb(() => verbs),
  documentationVerb(() => verbs),
  schemaVerb,
  completionVerb(() => verbs),
];

/** What runs when no verb is given. */
export const defaultVerb = 'build';
