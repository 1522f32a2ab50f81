import type { StepId } from '../../base/brand.ts';
import type { EngineEnvironment } from '../../engine/environment.ts';
import { execute } from '../../engine/executor.ts';
import { archiveTools } from '../../engine/shared/archive.ts';
import type { SharedCache } from '../../engine/shared/shared-cache.ts';
import { openSharedCache } from '../../engine/shared/shared-cache.ts';
import type { Plan } from '../../plan/step.ts';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { missingToolsError, probeTools } from '../../sandbox/tools.ts';
import { silentEvents } from '../../base/events.ts';
import type { VerbContext } from '../verb.ts';
import type { Session } from './session.ts';
import { engineEnvironment, probeCache } from './session.ts';

/** The shared cache of the configuration; undefined when there is none, or the machine lacks what it needs. */
export async function openShared(session: Session, context: VerbContext): Promise<SharedCache | undefined> {
  const { main, environment, privileges } = session;
  const { CacheUrl: url, CacheAccess: access } = main.config;
  if (url === undefined) return undefined;
  const { events, signal } = context;
  const tools = { kind: 'host' } as const;
  const { missing } = await probeTools(archiveTools, tools, probeCache(environment.store.layout));
  if (missing.length > 0) {
    const { message, hint } = missingToolsError(missing, tools);
    events.emit({
      ...{ type: 'note', level: 'warning', code: 'shared-cache-unusable', message },
      ...(hint === undefined ? {} : { hint }),
    });
    return undefined;
  }
  return openSharedCache({
    ...{ url: new URL(url), writable: access === 'read-write', store: environment.store, events, signal },
    sandbox: createSandbox({ mode: privileges.mode, tools, events: silentEvents, signal }),
    environment: process.env,
  });
}

/** Makes results without publishing them, with the help of the shared cache. */
export async function executeShared(
  plan: Plan,
  { session, context }: { readonly session: Session; readonly context: VerbContext },
  targets: readonly StepId[],
): Promise<void> {
  await using shared = await openShared(session, context);
  await execute(plan, withShared(engineEnvironment(session, context), shared), targets);
  await shared?.finish();
}

/** The environment with a shared cache, if there is one. */
export function withShared(
  environment: EngineEnvironment,
  shared: SharedCache | undefined,
): EngineEnvironment {
  return shared === undefined ? environment : { ...environment, shared };
}
