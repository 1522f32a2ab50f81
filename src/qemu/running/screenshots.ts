import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { writeFileAtomically } from '../../base/files.ts';
import type { Vm } from '../vm.ts';

const everyMilliseconds = 2000;

/** Name of a picture in the machine's directory. */
const picture = 'screen.png';

/**
 * Writes what the machine's screen shows as PNG.
 * @throws MkimgError `screenshot-failed`, `qemu-gone`
 */
export async function takeScreenshot(vm: Pick<Vm, 'qmp' | 'directory'>, file: HostPath): Promise<void> {
  const { inside, outside } = vm.directory;
  try {
    await vm.qmp.execute('screendump', { filename: `${inside}/${picture}`, format: 'png' });
  } catch (error) {
    if (!(error instanceof MkimgError) || error.code !== 'qmp-error') throw error;
    throw new MkimgError('screenshot-failed', `the screen cannot be photographed: ${error.message}`, {
      hint: 'It needs QEMU 7.1 or later with PNG, and a machine with a display.',
      cause: error,
    });
  }
  await writeFileAtomically(file, await readFile(join(outside, picture)));
}

/**
 * Keeps in `file` what the screen shows, written anew every other second and at the end of the scope, as long as the machine
 * runs: the last picture is there however the machine ends.
 */
export function keepScreenshot(vm: Pick<Vm, 'qmp' | 'directory'>, file: HostPath): AsyncDisposable {
  const state: { failure?: unknown; isOver: boolean; last: Promise<void> } = {
    isOver: false,
    last: Promise.resolve(),
  };
  const take = async (): Promise<void> => {
    try {
      await takeScreenshot(vm, file);
    } catch (error) {
      if (!(error instanceof MkimgError && error.code === 'qemu-gone')) state.failure ??= error;
    }
  };
  const next = (): void => {
    state.last = take().then(() => {
      if (!state.isOver && state.failure === undefined) timer = setTimeout(next, everyMilliseconds);
    });
  };
  let timer = setTimeout(next, everyMilliseconds);
  return {
    [Symbol.asyncDispose]: async () => {
      state.isOver = true;
      clearTimeout(timer);
      await state.last;
      if (state.failure !== undefined) throw state.failure as Error;
    },
  };
}
