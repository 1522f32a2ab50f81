import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../../src/base/canonical.ts';
import { compareIdentities, inputIdentity, keyOf, referencesIn } from '../../../src/engine/key.ts';

const plain = {
  ref: ({ $ref }: { $ref: string }) => Promise.resolve(`key of ${$ref}`),
  host: ({ $host }: { $host: string }) => Promise.resolve(`digest of ${$host}`),
};

const identityOf = (inputs: unknown): Promise<Json | undefined> => inputIdentity(inputs, plain);

const identity = { kind: 'depmod', version: 1, inputs: {}, tools: {}, ownership: 'full' } as const;

describe('inputIdentity', () => {
  test('puts what they hold in the place of references, files and secrets', async () => {
    const inputs = {
      base: { $ref: 'main/install', type: 'tree' },
      trees: [{ source: { $host: '/home/me/extra' }, target: 'etc' }],
      password: { value: { $secret: 'root', digest: 'abc' }, hashed: true },
      buildDirectory: { $unkeyed: '/home/me/build' },
      absent: undefined,
    };
    expect(await identityOf(inputs)).toEqual({
      base: { $ref: 'key of main/install' },
      trees: [{ source: { $host: 'digest of /home/me/extra' }, target: 'etc' }],
      password: { value: { $secret: 'abc' }, hashed: true },
    });
  });

  test('is the value itself for plain data', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.jsonValue()), async (value) => {
        // As text: JSON knows no negative zero.
        expect(JSON.stringify(await identityOf(value))).toBe(JSON.stringify(value));
      }),
    );
  });

  test('refuses what has no JSON form', async () => {
    await expect(identityOf({ run: () => undefined })).rejects.toThrow(/^internal: /);
  });
});

describe('keyOf', () => {
  test('does not depend on the order in which inputs are named', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), (inputs) => {
        const reversed = Object.fromEntries(Object.entries(inputs).reverse());
        expect(keyOf({ ...identity, inputs: reversed })).toBe(keyOf({ ...identity, inputs }));
      }),
    );
  });

  test.each([
    ['kind', { kind: 'hwdb' }],
    ['version', { version: 2 }],
    ['inputs', { inputs: { a: 1 } }],
    ['tools', { tools: ['kmod', '31'] }],
    ['ownership', { ownership: 'flat' }],
    ['state', { state: 'yesterday' }],
  ] as const)('changes with %s', (_name, change) => {
    expect(keyOf({ ...identity, ...change })).not.toBe(keyOf(identity));
  });

  test('is the same in all versions of mkimg', () => {
    expect(keyOf(identity)).toMatchInlineSnapshot(
      `"1b7b2ec77c2e12d053742fe5cf45e04c14453e96daee62f9690edbfbdc978251"`,
    );
  });
});

test('compareIdentities names the deepest places that differ', () => {
  const before = { inputs: { trees: [{ source: 'a', target: 'x' }], names: ['p'] }, version: 1 };
  const after = { inputs: { trees: [{ source: 'b', target: 'x' }], names: ['p', 'q'] }, version: 1 };
  expect(compareIdentities(before, after)).toEqual([
    { path: 'inputs.trees.0.source', before: 'a', after: 'b' },
    { path: 'inputs.names', before: undefined, after: 'q' },
  ]);
  expect(compareIdentities(after, after)).toEqual([]);
});

test('compareIdentities tells what came and went in lists, and when only the order is another', () => {
  expect(compareIdentities(['a', 'b', 'c'], ['b', 'c', 'd'])).toEqual([
    { path: '', before: 'a', after: undefined },
    { path: '', before: undefined, after: 'd' },
  ]);
  expect(compareIdentities({ l: ['a', 'b'] }, { l: ['b', 'a'] })).toEqual([
    { path: 'l', before: ['a', 'b'], after: ['b', 'a'] },
  ]);
});

test('referencesIn finds references at any depth, and nothing inside them', () => {
  const a = { $ref: 'a', type: 'tree' };
  const b = { $ref: 'b', type: 'file' };
  expect(referencesIn({ base: a, segments: [b, { $host: '/x' }], text: '$ref' })).toEqual([a, b]);
});
