import { readFile, writeFile } from 'node:fs/promises';
import { architectures } from '../distro/architectures/index.ts';
import type { ResolvedPackage } from '../distro/resolved.ts';
import { formatResolvedPackages, packagesDigest, parseResolvedPackages } from '../distro/resolved.ts';
import type { Opened } from '../plan/step.ts';
import type { StepInputs } from '../plan/vocabulary.ts';
import { MkimgError } from '../base/errors.ts';
import { importMadePackages } from './apt/local-packages.ts';
import { resolvePackageRequest } from './apt/resolve.ts';
import { unpackedPackages } from './apt/unpacked.ts';
import { packagesOfLibraries } from './dlopen/packages.ts';
import { describeNote, dlopenAction } from './dlopen/policy.ts';
import type { UnresolvedDlopen } from './dlopen/unresolved.ts';
import { unresolvedInPackages } from './dlopen/unpacked.ts';
import { resolveOnHost } from './host/resolve.ts';
import type { BuildContext, FileStep } from './implementation.ts';

type Inputs = Opened<StepInputs['add-dlopens']>;

/** Packages that were added may open libraries themselves; nothing real does so over more than two. */
const maximumRounds = 4;

/**
 * Adds the packages of libraries that the programs of an image open, and that it lacks, where the policy says so. The answer is
 * the same as if the user had named them; each that was added says why.
 */
export const addDlopens: FileStep<'add-dlopens'> = {
  output: 'file',
  version: 1,
  memory: 384 << 20,
  contentKeyed: true,
  tools: [
    { tool: 'apt-get', minimum: '2.3', reason: 'choosing packages' },
    { tool: 'apt-cache', reason: 'reading package indexes' },
    { tool: 'dpkg-deb', minimum: '1.21', reason: 'extracting packages' },
    { tool: 'tar', minimum: '1.27', reason: 'extracting packages' },
    { tool: 'xargs', reason: 'extracting packages on all processors' },
  ],

  async run(inputs, target, context) {
    let { packages } = parseResolvedPackages(await readFile(inputs.resolved.path, 'utf8'));
    await importMadePackages(inputs.packages ?? [], packages, context);
    const reasons = new Map<string, string>();
    const tried = new Set<string>();
    for (let round = 0; round < maximumRounds; round++) {
      const native = architectures[inputs.architecture].names.debian;
      const missing = unresolvedInPackages(await unpackedPackages(packages, context), native);
      const wanted = missing.filter((note) => dlopenAction(note, inputs.policy) === 'add');
      const names = await candidates(wanted, { inputs, tried });
      if (names.size === 0) break;
      for (const [name, note] of names) {
        tried.add(name);
        reasons.set(name, `${note.by.join(' and ')} opens ${describeNote(note)}`);
      }
      packages = (await resolveWith([...reasons.keys()], inputs, context)) ?? packages;
    }
    const explained = packages.map((entry) => withReason(entry, { reasons, asked: inputs.request.names }));
    await writeFile(target, formatResolvedPackages(explained));
    const added = explained.flatMap(({ name, reason }) => (reason === undefined ? [] : [name]));
    return { packages: explained.length, added, content: packagesDigest(explained) };
  },
};

/** The best name that was not tried yet for the package of each library. */
async function candidates(
  wanted: readonly UnresolvedDlopen[],
  { inputs, tried }: { readonly inputs: Inputs; readonly tried: ReadonlySet<string> },
): Promise<ReadonlyMap<string, UnresolvedDlopen>> {
  const sonames = wanted.flatMap((note) => note.sonames);
  const known = await packagesOfLibraries(sonames, inputs.host?.root);
  const names = new Map<string, UnresolvedDlopen>();
  for (const note of wanted) {
    const all = note.sonames.flatMap((soname) => known.get(soname) ?? []);
    const name = all.find((candidate) => !tried.has(candidate));
    if (name !== undefined && !names.has(name)) names.set(name, note);
  }
  return names;
}

/** The request with further packages; those that no repository has are left out. undefined where that does not help. */
async function resolveWith(
  names: readonly string[],
  inputs: Inputs,
  context: BuildContext,
): Promise<readonly ResolvedPackage[] | undefined> {
  const request = { ...inputs.request, names: [...inputs.request.names, ...names] };
  const { host } = inputs;
  // On a running system what cannot be had is left out anyway.
  if (host !== undefined) return (await resolveOnHost({ ...inputs, request }, host, context)).packages;
  try {
    return (await resolvePackageRequest({ ...inputs, request }, context)).packages;
  } catch (error) {
    if (!(error instanceof MkimgError) || error.code !== 'package-not-found') throw error;
    const rest = names.filter((name) => !error.items.includes(name));
    if (rest.length === names.length) throw error;
    return rest.length === 0 ? undefined : resolveWith(rest, inputs, context);
  }
}

function withReason(
  entry: ResolvedPackage,
  { reasons, asked }: { readonly reasons: ReadonlyMap<string, string>; readonly asked: readonly string[] },
): ResolvedPackage {
  const reason = asked.includes(entry.name) ? undefined : reasons.get(entry.name);
  return reason === undefined ? entry : { ...entry, reason };
}
