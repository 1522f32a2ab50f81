import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/base/canonical.ts';
import { markBaseSet, unpackRounds } from '../../../src/distro/package-order.ts';
import { parseRelations } from '../../../src/distro/relations.ts';
import type { ResolvedPackage } from '../../../src/distro/resolved.ts';

function entry(
  name: string,
  relations: ResolvedPackage['relations'] = {},
  essential = false,
): ResolvedPackage {
  return {
    name,
    version: '1',
    architecture: 'amd64',
    urls: ['http://mirror.example/x'],
    size: 1,
    sha256: sha256(name),
    essential,
    base: false,
    source: { name, version: '1' },
    relations,
  };
}
const names = (packages: readonly ResolvedPackage[]): string[] => packages.map(({ name }) => name);

describe('parseRelations', () => {
  it('reads alternatives, versions, architectures and qualifiers', () => {
    expect(parseRelations('libc6 (>= 2.38), awk | mawk (<< 2) [amd64],\n python3:any <!nocheck>')).toEqual([
      [{ name: 'libc6' }],
      [{ name: 'awk' }, { name: 'mawk' }],
      [{ name: 'python3', qualifier: 'any' }],
    ]);
    expect(parseRelations(undefined)).toEqual([]);
  });
});

describe('markBaseSet', () => {
  it('is the essential packages with all they lead to, through provided names too', () => {
    const marked = markBaseSet([
      entry('base-files', { preDepends: 'awk' }, true),
      entry('mawk', { provides: 'awk', depends: 'libm (>= 1)' }),
      entry('libm'),
      entry('systemd', { depends: 'libm' }),
    ]);
    expect(names(marked.filter(({ base }) => base))).toEqual(['base-files', 'mawk', 'libm']);
  });
});

describe('unpackRounds', () => {
  it('unpacks at once what has no pre-dependencies', () => {
    const rounds = unpackRounds([entry('a', { depends: 'b' }), entry('b', { depends: 'a' })]);
    expect(rounds.map(({ unpack }) => names(unpack))).toEqual([['a', 'b']]);
    expect(rounds[0]?.configure).toEqual([]);
  });

  it('configures pre-dependencies and what they need before the next round', () => {
    const rounds = unpackRounds([
      entry('init', { preDepends: 'manager' }),
      entry('manager', { preDepends: 'lib', depends: 'other' }),
      entry('lib', { depends: 'data' }),
      entry('data'),
      entry('other'),
    ]);
    expect(rounds.map(({ unpack, configure }) => [names(configure).sort(), names(unpack)])).toEqual([
      [[], ['lib', 'data', 'other']],
      [['data', 'lib'], ['manager']],
      [['manager', 'other'], ['init']],
    ]);
    expect(rounds.some(({ isForced }) => isForced)).toBe(false);
  });

  it('cuts a circle through pre-dependencies and says so', () => {
    const rounds = unpackRounds([entry('a', { preDepends: 'b' }), entry('b', { preDepends: 'a' })]);
    expect(rounds).toHaveLength(1);
    expect(rounds[0]?.isForced).toBe(true);
  });

  it('unpacks each package once, after its pre-dependencies unless forced', () => {
    const graph = fc.array(fc.array(fc.nat(9), { maxLength: 3 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(graph, (edges) => {
        const packages = edges.map((targets, index) =>
          entry(`p${index}`, { preDepends: targets.map((target) => `p${target}`).join(', ') }),
        );
        const rounds = unpackRounds(packages);
        expect(names(rounds.flatMap(({ unpack }) => unpack)).sort()).toEqual(names(packages).sort());
        const configured = new Set<string>();
        for (const round of rounds) {
          for (const { name } of round.configure) configured.add(name);
          for (const { relations } of round.isForced ? [] : round.unpack) {
            const needed = parseRelations(relations.preDepends).flat();
            const present = needed.filter(({ name }) => packages.some((other) => other.name === name));
            const others = present.filter(({ name }) => !round.unpack.some((other) => other.name === name));
            expect(others.every(({ name }) => configured.has(name))).toBe(true);
          }
        }
      }),
    );
  });
});
