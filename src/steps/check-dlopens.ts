import { MkimgError } from '../base/errors.ts';
import { packagesOfLibraries } from './dlopen/packages.ts';
import { describeNote, dlopenAction } from './dlopen/policy.ts';
import { unresolvedInTree } from './dlopen/tree.ts';
import type { UnresolvedDlopen } from './dlopen/unresolved.ts';
import type { TreeStep } from './implementation.ts';

/** Looks for libraries that programs of a tree open when they run and that it lacks; changes nothing. */
export const checkDlopens: TreeStep<'check-dlopens'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run({ policy, host }, root, { events, origin, signal }) {
    const missing = await unresolvedInTree(root, signal);
    const actions = missing.map((note) => ({ note, action: dlopenAction(note, policy) }));
    const noted = actions.filter(({ action }) => action === 'warn' || action === 'add');
    if (noted.length > 0) {
      events.emit({
        ...{
          type: 'note',
          level: 'warning',
          code: 'library-absent',
          ...(origin === undefined ? {} : { origin }),
        },
        message: `Programs of the image would use these libraries: ${noted.map(({ note }) => describeNote(note)).join(', ')}`,
      });
    }
    const required = actions.filter(({ action }) => action === 'require').map(({ note }) => note);
    if (required.length > 0) throw await missingLibraries(required, { host, origin });
  },
};

async function missingLibraries(
  notes: readonly UnresolvedDlopen[],
  {
    host,
    origin,
  }: { readonly host: Parameters<typeof packagesOfLibraries>[1]; readonly origin: MkimgError['origin'] },
): Promise<MkimgError> {
  const sonames = notes.flatMap((note) => note.sonames.slice(0, 1));
  const packages = await packagesOfLibraries(sonames, host);
  const names = [...new Set(sonames.flatMap((soname) => packages.get(soname)?.[0] ?? []))];
  const descriptions = notes.map((note) => `${describeNote(note)}, which ${note.by.join(' and ')} opens`);
  return new MkimgError('library-missing', `The image lacks ${descriptions.join('; ')}.`, {
    hint: `Add to Packages=: ${names.join(', ')}; or accept it with DlopenPolicy=${sonames.map((soname) => `${soname}=ignore`).join(' ')}.`,
    items: sonames,
    ...(origin === undefined ? {} : { origin }),
  });
}
