import type { HostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import type { ResolvedImage } from '../config/project.ts';
import { evaluate } from '../engine/evaluate.ts';
import { openSecretHash } from '../engine/secret.ts';
import { planToolsOnly } from '../plan/project.ts';
import type { Plan } from '../plan/step.ts';
import { currentMode } from '../sandbox/namespace.ts';
import type { ToolsRoot } from '../sandbox/types.ts';
import { runBuild } from './build.ts';
import type { RuntimeHooks } from './machine.ts';
import { reenter, siblingCommand } from './session/command-line.ts';
import { imageFlag } from './session/images.ts';
import { planFacts } from './session/facts.ts';
import type { ToolsProfile } from './session/project.ts';
import { readTools } from './session/project.ts';
import type { Session } from './session/session.ts';
import { cacheLayoutOf, openSession } from './session/session.ts';
import { executeShared } from './session/shared.ts';
import type { Verb, VerbContext } from './verb.ts';

/** Makes a tools tree without building an image: for preparing a machine, and for the verbs that run images. */
export const toolsVerb: Verb = {
  name: 'tools',
  summary: "Make mkimg's own tools tree (`build` or `vm`) and say where it is",
  doc: `Makes the tree of programs that builds (\`build\`) or virtual machines (\`vm\`) need where the host has none that are
new enough, and prints its path. Builds do this by themselves; the verb prepares a machine ahead of time.`,
  words: { usage: '[build|vm]', choices: ['build', 'vm'] },
  options: [{ name: 'quiet', takesValue: false, summary: 'Do not print where it is' }],
  answers: true,
  run: runTools,
};

async function runTools(context: VerbContext): Promise<number> {
  const profile = profileOf(context.words);
  const session = await openSession(context);
  const plan = await toolsPlan(session, { profile, context });
  const path = await findTools(session, plan);
  if (path === undefined && currentMode() === undefined) return reenter(context);
  if (path === undefined) await executeShared(plan, { session, context }, targetsOf(plan));
  const made = path ?? (await findTools(session, plan));
  if (made === undefined) throw new Error('internal: the tools tree was made but is not in the store');
  if (!('quiet' in context.options.extra)) context.print(made);
  return 0;
}

function profileOf([word = 'build']: readonly string[]): ToolsProfile {
  if (word === 'build' || word === 'vm') return word;
  throw new MkimgError('bad-usage', `there is no tools profile '${word}'`, {
    hint: 'Use build or vm.',
    class: 'usage',
  });
}

interface ToolsRequest {
  readonly profile: ToolsProfile;
  readonly context: VerbContext;
}

async function toolsPlan(
  { project, environment }: Session,
  { profile, context }: ToolsRequest,
): Promise<Plan> {
  const secretHash = await openSecretHash(environment.store.layout.state);
  const facts = await planFacts({ secretHash, buildArguments: [], volatileDirectories: [] });
  return planToolsOnly(await readTools(project, profile, context.events), facts);
}

function targetsOf({ steps }: Plan): readonly [Plan['steps'][number]['id']] {
  const last = steps.at(-1);
  if (last === undefined) throw new Error('internal: a plan for tools without a step');
  return [last.id];
}

async function findTools({ environment }: Session, plan: Plan): Promise<HostPath | undefined> {
  const [target] = targetsOf(plan);
  const status = (await evaluate(plan, environment, [target])).statuses.get(target);
  return status?.state === 'hit' ? (await environment.store.find(status.key))?.path : undefined;
}

/** What `mkimg qemu` and `mkimg test` need from the verbs that build. */
export const runtimeHooks: RuntimeHooks = {
  vmTools,
  build: buildFirst,
  stateDirectory: (main) => cacheLayoutOf(main.config).state,
  reenter: async (context) => (currentMode() === undefined ? reenter(context) : undefined),
};

async function vmTools(context: VerbContext, main: ResolvedImage): Promise<ToolsRoot> {
  const session = await openSession(context);
  const plan = await toolsPlan(
    { ...session, project: { ...session.project, main } },
    { profile: 'vm', context },
  );
  const found = await findTools(session, plan);
  if (found !== undefined) return { kind: 'tree', path: found };
  await makeTools(session, plan, context);
  const made = await findTools(session, plan);
  if (made === undefined) throw new Error('internal: the tools tree was made but is not in the store');
  return { kind: 'tree', path: made };
}

async function makeTools(session: Session, plan: Plan, context: VerbContext): Promise<void> {
  if (currentMode() !== undefined) {
    await executeShared(plan, { session, context }, targetsOf(plan));
    return;
  }
  const command = siblingCommand({ ...context, options: { ...context.options, force: 0 } }, [
    'tools',
    'vm',
    '--quiet',
  ]);
  if ((await reenter(context, command)) !== 0) {
    throw new MkimgError('tools-tree-failed', 'The tools tree for virtual machines could not be made', {
      hint: 'The messages above say why. `ToolsTree=no` uses the programs of this machine.',
    });
  }
}

/** `-f` of a verb that runs an image: a build of its own, in a namespace of its own. */
async function buildFirst(context: VerbContext): Promise<number> {
  if (currentMode() !== undefined) return runBuild(context);
  return reenter(context, siblingCommand(context, ['build', ...imageFlag(context)]));
}
