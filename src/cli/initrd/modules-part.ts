import { join } from 'node:path';
import { hostPath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { sha256 } from '../../base/canonical.ts';
import { MkimgError } from '../../base/errors.ts';
import { isDirectory, makeDirectory } from '../../base/files.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { defaultJobs } from '../../engine/executor.ts';
import { writeOutline } from '../../initrd/archive.ts';
import type { HostFacts } from '../../initrd/host/facts.ts';
import { driversWithoutFirmware } from '../../initrd/modules/lacking-firmware.ts';
import { segmentFingerprint, writeModulesSegment } from '../../initrd/modules/segment.ts';
import type { ModuleSelection } from '../../initrd/modules/select.ts';
import { selectForInitrd } from '../../initrd/modules/select.ts';
import { takesModeSet } from '../../initrd/modules/wanted-modules.ts';
import type { SegmentDraft } from '../../initrd/segment-cache.ts';
import { currentMode } from '../../sandbox/namespace.ts';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { reasonText } from '../../steps/kernel-modules/closure.ts';
import type { VerbContext } from '../verb.ts';
import type { PartSettings } from './part-settings.ts';
import type { InitrdRequest } from './request.ts';

export interface ModulesWish {
  readonly request: InitrdRequest;
  readonly settings: PartSettings;
  /** What the machine is; undefined for an initrd that is not for this one. */
  readonly host: HostFacts | undefined;
}

/** Files that decide which modules and firmware come along, without reading them all. */
export function watchedModuleFiles({ root, kernelVersion }: InitrdRequest): readonly string[] {
  const directory = join(root, 'usr/lib/modules', kernelVersion);
  const indexes = [
    'dep',
    'softdep',
    'weakdep',
    'builtin',
    'alias',
    'symbols',
    'devname',
    'order',
    'builtin.modinfo',
  ];
  return indexes
    .flatMap((name) => [`modules.${name}`, `modules.${name}.bin`])
    .map((name) => join(directory, name));
}

/** @throws MkimgError `kernel-not-installed` */
export async function requireKernel(request: InitrdRequest): Promise<void> {
  if (!(await isDirectory(join(request.root, 'usr/lib/modules', request.kernelVersion))))
    throw notInstalled(request);
}

/**
 * Chooses modules and firmware, so that the key of their segment is known.
 */
export async function draftModules(wish: ModulesWish, context: VerbContext): Promise<SegmentDraft> {
  const { request, settings, host } = wish;
  const { root, kernelVersion, mode, cache } = request;
  const { events, signal } = context;
  const sandbox = createSandbox({ mode: currentMode() ?? 'root', tools: { kind: 'host' }, events, signal });
  const memory = hostPath(join(cache, 'modules'));
  await makeDirectory(memory, 0o700);
  await using scratch = await temporaryDirectory(cache, '.modules-');
  const selection = await selectForInitrd(
    {
      ...{ root, kernelVersion, mode, host, memory },
      ...{ patterns: settings.patterns, profiles: settings.moduleProfiles },
    },
    { work: scratch.path, sandbox, jobs: defaultJobs() },
  );
  noteMissingDefault(wish, context);
  noteLackingFirmware(selection, context);
  return {
    role: 'modules',
    key: sha256(segmentFingerprint(selection, settings.epoch)),
    write: async (files) => {
      await using work = await temporaryDirectory(cache, '.modules-');
      const target = { selection, epoch: settings.epoch, target: files.file };
      await writeModulesSegment(target, { work: work.path, sandbox, signal });
      await writeOutline(files, context);
      return contentOf(selection);
    },
  };
}

/** A line for one module more would leave out all others, the disk's driver included. */
function noteMissingDefault({ request, settings }: ModulesWish, { events }: VerbContext): void {
  if (takesModeSet(settings.patterns)) return;
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'modules-without-default' },
    message: `KernelInitrdModules= has no \`default\`: the modules that --${request.mode} stands for are left out`,
    hint: 'Put `default` before the others, unless these are all that the initrd shall have.',
  });
}

function noteLackingFirmware(selection: ModuleSelection, { events }: VerbContext): void {
  for (const { module, firmware } of driversWithoutFirmware(selection)) {
    const [first = '', ...others] = firmware;
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    events.emit({
      ...{ type: 'note', level: 'warning', code: 'driver-without-firmware' },
      message: `The driver ${module} of this machine finds none of its firmware (${first}${more})`,
      hint: 'Its device may not work until the root file system is there. On Debian a package firmware-* has it.',
    });
  }
}

function contentOf({ kernelVersion, mode, modules, firmware, missingFirmware }: ModuleSelection): Json {
  return {
    ...{ kernel: kernelVersion, mode },
    modules: Object.fromEntries(modules.map(({ module, reasons }) => [module.path, reasons.map(reasonText)])),
    firmware: Object.fromEntries(firmware.map(({ path, requestedBy }) => [path, requestedBy])),
    missingFirmware: Object.fromEntries(missingFirmware.map(({ name, requestedBy }) => [name, requestedBy])),
  };
}

function notInstalled({ root, kernelVersion }: InitrdRequest): MkimgError {
  const place = join(root, 'usr/lib/modules');
  return new MkimgError('kernel-not-installed', `There is no kernel ${kernelVersion} in ${place}.`, {
    hint: 'Name an installed one with --kernel-version.',
    class: 'usage',
  });
}
