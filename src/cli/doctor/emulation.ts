import type { ArchitectureName } from '../../distro/architectures/index.ts';
import { architectureNames, isNative } from '../../distro/architectures/index.ts';
import { canRegisterPrivately, registeredInterpreter, usableInterpreter } from '../../sandbox/binfmt.ts';
import type { Check, Finding, Surroundings } from './check.ts';
import { good, lacking } from './check.ts';
import { installCommand } from './packages.ts';

/** What runs programs of other architectures in builds: the processor, the machine's interpreter, or one of mkimg's. */
export const emulationCheck: Check = {
  name: 'emulation',
  run: (surroundings) => {
    const { architecture: own } = surroundings.host;
    const foreign = architectureNames.filter((name) => name !== own);
    return Promise.all(foreign.map((architecture) => examine(architecture, surroundings)));
  },
};

async function examine(architecture: ArchitectureName, { host }: Surroundings): Promise<Finding> {
  const name = `binfmt:${architecture}`;
  if (isNative(architecture, host.architecture)) return good(name, 'the processor runs its programs');
  const usable = await usableInterpreter(architecture);
  if (usable !== undefined) return good(name, `${usable.path}, ${usable.version}`);
  const registered = await registeredInterpreter(architecture);
  const own = registered === undefined ? 'none is registered' : `${registered.version} is registered`;
  if (canRegisterPrivately()) return good(name, `builds bring QEMU along (${own})`);
  return lacking(
    name,
    `no interpreter that works inside of trees (${own})`,
    installCommand(host, ['qemu-user-binfmt']),
  );
}
