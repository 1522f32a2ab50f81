import type { Origin } from '../../base/diagnostic.ts';
import { amended, MkimgError } from '../../base/errors.ts';
import type { ResolvedImage } from '../../config/project.ts';
import type { SettingName } from '../../config/settings/table.ts';

/** Settings whose items a step may find at fault. */
const itemSettings = [
  'Packages',
  'BuildPackages',
  'RemovePackages',
] as const satisfies readonly SettingName[];

/** Faults of a repository: no package is to blame, so the line that names the repository is. */
const repositoryFaults: ReadonlySet<string> = new Set([
  'bad-signature',
  'hash-mismatch',
  'metadata-expired',
  'metadata-not-yet-valid',
  'mirror-unreachable',
  'package-gone',
  'suite-not-found',
]);

/** Faults of a place on this machine, with the setting that chose it. */
const settingAtFault: Readonly<Record<string, SettingName>> = {
  'output-exists': 'Output',
  'output-not-writable': 'OutputDirectory',
  'tool-missing': 'ToolsTree',
  'tool-too-old': 'ToolsTree',
  'tools-tree-missing': 'ToolsTree',
};

/**
 * Makes an error of a build point at the lines that are to blame: each item that it names, or the setting that names the
 * repository, instead of the setting that the step began with. Other errors come back as they are.
 */
export function withPlaces(error: unknown, images: readonly ResolvedImage[]): unknown {
  if (!(error instanceof MkimgError)) return error;
  const [main] = images;
  const chosen = settingAtFault[error.code];
  if (chosen !== undefined && main !== undefined) return amended(error, { origin: main.originOf(chosen) });
  if (repositoryFaults.has(error.code)) return withRepository(error, images);
  if (error.origin === undefined) return error;
  const { origin } = error;
  for (const image of images) {
    const setting = settingOf(image, origin);
    if (setting === undefined || error.items.length === 0) continue;
    const [first, ...others] = error.items.map((item) => image.originOf(setting, item));
    return amended(error, { ...(first === undefined ? {} : { origin: first }), alsoAt: others });
  }
  return error;
}

function withRepository(error: MkimgError, images: readonly ResolvedImage[]): MkimgError {
  const { origin, message } = error;
  const image = images.find(
    (candidate) => origin !== undefined && settingOf(candidate, origin) !== undefined,
  );
  if (image !== undefined) return amended(error, { origin: repositoryOrigin(error, image) });
  // The tools tree takes its packages from the main image's mirror.
  const named = images.find(({ config }) => config.Mirror !== undefined && message.includes(config.Mirror));
  return named === undefined ? error : amended(error, { origin: named.originOf('Mirror') });
}

function settingOf(image: ResolvedImage, origin: Origin): SettingName | undefined {
  const wanted = JSON.stringify(origin);
  return itemSettings.find((setting) => JSON.stringify(image.originOf(setting)) === wanted);
}

/** Mirror= where the error is about it, else the sandbox tree that may bring sources of its own; often neither. */
function repositoryOrigin({ message }: MkimgError, image: ResolvedImage): Origin | undefined {
  const { Mirror, SandboxTrees } = image.config;
  if (Mirror !== undefined && message.includes(Mirror)) return image.originOf('Mirror');
  return SandboxTrees.length > 0 ? image.originOf('SandboxTrees') : undefined;
}
