import type { HostPath } from '../../base/brand.ts';
import { canonicalJson } from '../../base/canonical.ts';
import { buildable } from '../../config/buildable.ts';
import type { ResolvedImage } from '../../config/project.ts';
import { imageJson } from '../../config/resolved-image.ts';
import { createStage } from '../../engine/staging.ts';
import { scriptVariables } from '../../plan/scripts.ts';
import { createSandbox } from '../../sandbox/sandbox.ts';
import type { PrivilegeMode } from '../../sandbox/types.ts';
import type { HostScripts } from '../../steps/host-scripts.ts';
import { runHostScripts } from '../../steps/host-scripts.ts';
import type { VerbContext } from '../verb.ts';

/** Images whose SyncScripts= a build runs: without network there is nothing to fetch. */
export function imagesToSync(images: readonly ResolvedImage[]): readonly ResolvedImage[] {
  return images.filter(({ config }) => config.SyncScripts.length > 0 && config.CacheOnly !== 'always');
}

export interface HostScriptPlace {
  readonly mode: PrivilegeMode;
  /** The cache's directory for what is being made. */
  readonly staging: HostPath;
  /** OUTPUTDIR of clean scripts. */
  readonly output?: HostPath;
}

/** Runs an image's SyncScripts= or CleanScripts=. Only inside the namespace. @throws MkimgError `script-failed` */
export async function runImageScripts(
  phase: HostScripts['phase'],
  image: ResolvedImage,
  { place, context }: { readonly place: HostScriptPlace; readonly context: VerbContext },
): Promise<void> {
  const { config } = image;
  const { events, signal, options } = context;
  const { mode, staging, output } = place;
  await using stage = await createStage(staging);
  const sandbox = createSandbox({ mode, tools: { kind: 'host' }, events, signal, debug: options.debug });
  const run: HostScripts = {
    phase,
    scripts: phase === 'sync' ? config.SyncScripts : config.CleanScripts,
    environment: {
      ...(phase === 'sync' ? callerEnvironment() : {}),
      ...scriptVariables(buildable(config), image.environment),
    },
    sources: config.BuildSources,
    configJson: canonicalJson(imageJson(image, { revealSecrets: false })),
    ...(output === undefined ? {} : { output }),
  };
  await runHostScripts(run, { sandbox, work: await stage.scratch() });
}

/** Sync scripts fetch what the caller has access to: with the caller's proxies, agents and credentials. */
function callerEnvironment(): Readonly<Record<string, string>> {
  const own = new Set(['PATH', 'TMPDIR', 'HOME']);
  const given = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !own.has(entry[0]),
  );
  const home = process.env['HOME'];
  return { ...Object.fromEntries(given), ...(home?.startsWith('/home/') === true ? { HOME: home } : {}) };
}
