import type { EventSink } from '../../base/events.ts';
import { MkimgError } from '../../base/errors.ts';
import type { Project, ResolvedImage } from '../../config/project.ts';
import { buildable } from '../../config/buildable.ts';
import type { ArchitectureName } from '../../distro/architectures/index.ts';
import { isNative, nativeArchitecture } from '../../distro/architectures/index.ts';
import type { EmulatorChoice } from '../../plan/emulators.ts';
import type { Step } from '../../plan/step.ts';
import { canRegisterPrivately, usableInterpreter } from '../../sandbox/binfmt.ts';
import { emulatorHint } from '../../sandbox/failure.ts';
import { readTools } from './project.ts';

/**
 * What runs programs of the images that this machine cannot run: its own interpreter where it has one of a good version,
 * otherwise QEMU's of Debian stable, which mkimg brings along.
 */
export async function chooseEmulators(
  project: Pick<Project, 'main' | 'tools'>,
  images: readonly ResolvedImage[],
  events: EventSink,
): Promise<ReadonlyMap<ArchitectureName, EmulatorChoice>> {
  const native = nativeArchitecture();
  const wanted = new Set(images.map(({ config }) => buildable(config).Architecture));
  const choices = new Map<ArchitectureName, EmulatorChoice>();
  for (const architecture of [...wanted].filter((name) => !isNative(name, native))) {
    const registered = await usableInterpreter(architecture);
    choices.set(
      architecture,
      registered === undefined
        ? { kind: 'image', image: await readTools(project, 'emulator', events) }
        : { kind: 'machine', version: registered.version },
    );
  }
  return choices;
}

/** @throws MkimgError `no-emulator` when steps of another architecture could not run here */
export function requireEmulator(steps: readonly Step[]): void {
  const step = steps.find(({ emulator }) => emulator?.kind === 'program');
  if (step?.emulator === undefined || canRegisterPrivately()) return;
  throw new MkimgError(
    'no-emulator',
    `This machine cannot run programs of ${step.emulator.architecture}, and its kernel lets only root teach it (Linux 6.7 and later let builds)`,
    { hint: emulatorHint },
  );
}
