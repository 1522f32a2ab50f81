import type { ResolvedPackage } from '../../distro/resolved.ts';

/** A package that came, went or has another version. */
export interface PackageChange {
  readonly name: string;
  readonly before?: string;
  readonly after?: string;
}

/** Compares two lists of packages, by name and architecture; in the order of the names. */
export function comparePackages(
  before: readonly ResolvedPackage[],
  after: readonly ResolvedPackage[],
): readonly PackageChange[] {
  const [old, current] = [byName(before), byName(after)];
  const names = [...new Set([...old.keys(), ...current.keys()])].sort();
  return names.flatMap((name): readonly PackageChange[] => {
    const [left, right] = [old.get(name), current.get(name)];
    if (left !== undefined && left.sha256 === right?.sha256) return [];
    return [
      {
        name,
        ...(left === undefined ? {} : { before: left.version }),
        ...(right === undefined ? {} : { after: right.version }),
      },
    ];
  });
}

function byName(packages: readonly ResolvedPackage[]): ReadonlyMap<string, ResolvedPackage> {
  const architectures = new Set(packages.map(({ architecture }) => architecture));
  architectures.delete('all');
  const isMixed = architectures.size > 1;
  return new Map(
    packages.map((entry) => [isMixed ? `${entry.name}:${entry.architecture}` : entry.name, entry]),
  );
}
