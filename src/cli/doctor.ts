import { setMaxListeners } from 'node:events';
import { hostFacts } from '../config/host.ts';
import { hostFiles } from '../config/files.ts';
import { MkimgError } from '../base/errors.ts';
import { cacheDirectory, cacheLayout } from '../engine/layout.ts';
import { callerUid } from '../sandbox/namespace.ts';
import { printable } from '../sandbox/text.ts';
import type { Check, Finding, Surroundings, Verdict } from './doctor/check.ts';
import { unknown } from './doctor/check.ts';
import { emulationCheck } from './doctor/emulation.ts';
import { machinesCheck } from './doctor/machines.ts';
import { privilegesCheck } from './doctor/privileges.ts';
import { programsCheck } from './doctor/programs.ts';
import { repositoriesCheck } from './doctor/repositories.ts';
import { storageCheck } from './doctor/storage.ts';
import type { Verb, VerbContext } from './verb.ts';

const checks: readonly Check[] = [
  privilegesCheck,
  programsCheck,
  storageCheck,
  repositoriesCheck,
  machinesCheck,
  emulationCheck,
];

/** Together; a mirror that does not answer takes longest. */
const seconds = 30;

/** `mkimg doctor`: what this machine can do. */
export const doctorVerb: Verb = {
  name: 'doctor',
  summary: 'Tell what this machine can do, and how to mend what it cannot',
  doc: `Looks at namespaces, subordinate ids, programs, the cache's file system, repositories, KVM, vsock, TPM and emulators, and names
for each gap the one command that closes it. It reads no configuration and needs nothing but Node. Exit code 0 if images can
be built here, 1 otherwise.`,
  answers: true,
  options: [],
  run: async (context) => {
    const findings = await examine(context);
    const canBuild = findings.every(({ verdict }) => verdict !== 'broken');
    context.print(
      context.options.json ? JSON.stringify({ canBuild, findings }, undefined, 2) : reportText(findings),
    );
    return canBuild ? 0 : 1;
  },
};

async function examine({ signal }: VerbContext): Promise<readonly Finding[]> {
  const uid = callerUid();
  const layout = cacheLayout(cacheDirectory({ setting: undefined, environment: process.env, uid }));
  const limit = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
  // Each program that is asked for its version listens to it.
  setMaxListeners(0, limit);
  const surroundings: Surroundings = {
    host: hostFacts(hostFiles),
    uid,
    environment: process.env,
    cache: layout,
    signal: limit,
  };
  const answers = await Promise.all(checks.map((check) => ask(check, surroundings)));
  if (signal.aborted) throw new MkimgError('interrupted', 'interrupted', { class: 'interrupted' });
  return answers.flat();
}

/** On a machine that is in a bad way anything can fail; that, too, is an answer. */
async function ask(check: Check, surroundings: Surroundings): Promise<readonly Finding[]> {
  try {
    return await check.run(surroundings);
  } catch (error) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    return [unknown(check.name, `cannot be examined: ${message}`)];
  }
}

const marks: Readonly<Record<Verdict, string>> = {
  good: 'ok     ',
  lacking: 'lacking',
  broken: 'BROKEN ',
  unknown: 'unknown',
};

/** The findings for people. Pure. */
export function reportText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, verdict, summary, fix }) => [
    `${marks[verdict]}  ${name.padEnd(width)}  ${printable(summary)}`,
    ...(fix === undefined ? [] : [`${' '.repeat(width + 11)}-> ${printable(fix)}`]),
  ]);
  const broken = findings.filter(({ verdict }) => verdict === 'broken').map(({ name }) => name);
  const last =
    broken.length === 0 ? 'Images can be built here.' : `No image can be built here: ${broken.join(', ')}.`;
  return [...lines, '', last].join('\n');
}
