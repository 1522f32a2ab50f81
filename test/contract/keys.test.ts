/** Every kind of step: each of its inputs is in its key, and each program that it starts is declared. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isObject } from '../../src/base/canonical.ts';
import { inputIdentity, isSpecial, keyOf } from '../../src/engine/key.ts';
import type { Step, StepKind } from '../../src/plan/step.ts';
import { toolTable } from '../../src/sandbox/tool-table.ts';
import { catalogue } from '../../src/steps/catalogue.ts';

const repository = resolve(import.meta.dirname, '../..');
const plans = join(import.meta.dirname, '../golden/plans');

/** Steps of the golden plans: one of each kind that has the most inputs. */
function examples(): ReadonlyMap<string, Step> {
  const found = new Map<string, Step>();
  for (const name of readdirSync(plans)) {
    const { steps } = JSON.parse(readFileSync(join(plans, name), 'utf8')) as { steps: readonly Step[] };
    for (const step of steps) {
      const known = found.get(step.kind);
      const size = (candidate: Step): number => JSON.stringify(candidate.inputs).length;
      if (known === undefined || size(step) > size(known)) found.set(step.kind, step);
    }
  }
  return found;
}

async function keyOfInputs(kind: string, inputs: unknown): Promise<string> {
  const identity = await inputIdentity(inputs, {
    ref: ({ $ref }) => Promise.resolve(`key of ${$ref}`),
    host: ({ $host }) => Promise.resolve(`digest of ${$host}`),
  });
  return keyOf({ kind, version: 1, inputs: identity ?? {}, tools: {}, ownership: 'full' });
}

/** All ways of changing one plain value, reference, file or secret in the inputs. */
function* variations(value: unknown): Generator {
  if (Array.isArray(value)) {
    const items = value as readonly unknown[];
    yield [...items, 'one more'];
    for (const [index, item] of items.entries())
      for (const other of variations(item)) yield items.map((old, place) => (place === index ? other : old));
  } else if (isObject(value)) {
    yield* isSpecial(value) ? specialVariations(value) : memberVariations(value);
  } else {
    yield typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${String(value)}x`;
  }
}

function* memberVariations(value: Readonly<Record<string, unknown>>): Generator {
  for (const [name, member] of Object.entries(value))
    for (const other of variations(member)) yield { ...value, [name]: other };
}

function* specialVariations(value: Readonly<Record<string, unknown>>): Generator {
  // Marked so: another input stands for what it holds.
  if (value['unkeyed'] === true) return;
  if ('$ref' in value) yield { ...value, $ref: `${String(value['$ref'])}x` };
  if ('$host' in value) yield { ...value, $host: `${String(value['$host'])}x` };
  if ('$secret' in value) yield { ...value, digest: 'other' };
}

const kinds = [...examples()];

describe('the key of a step', () => {
  it.each(kinds)(
    '%s changes with each of its inputs, and with nothing that is marked as irrelevant',
    async (kind, { inputs }) => {
      const keys = new Set([await keyOfInputs(kind, inputs)]);
      let count = 1;
      for (const other of variations(inputs)) {
        keys.add(await keyOfInputs(kind, other));
        count += 1;
      }
      expect(keys.size).toBe(count);
      const marked = { ...(inputs as object), cache: { $unkeyed: '/anywhere' } };
      expect(keys.has(await keyOfInputs(kind, marked))).toBe(true);
    },
  );
});

/** The files of src/ that a file imports values from, directly or not, within the steps. */
function reach(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, target = ''] of text.matchAll(/^import (?!type )[^;]*? from '(\.[^']+)';/gms)) {
    const next = resolve(dirname(file), target);
    if (relative(join(repository, 'src/steps'), next).startsWith('..')) continue;
    reach(next, seen);
  }
  return seen;
}

/** What it starts runs inside the image, and is a program of the image. */
const insideTheImage = ['src/steps/apt/dpkg.ts', 'src/steps/apt/without-scripts.ts'];
/**
 * Only scripts with network start them, in images whose packages were installed with them before. Needs are those of a kind:
 * declared there, scripts without network would want apt as well, and would run anew for each of its versions.
 */
const ofScripts = ['apt-get', 'dpkg-deb'];
/** Programs that a step does not start itself, or not without another step that did. */
const ofOthers: Readonly<Record<string, readonly string[]>> = {
  'unpack-packages': ['find'],
  'add-dlopens': ['find'],
  'run-scripts': ofScripts,
  'run-build-scripts': ofScripts,
  'run-postoutput-scripts': ofScripts,
};

function isKind(name: string): name is StepKind {
  return name in catalogue;
}

describe('the tools of a step', () => {
  const files = readdirSync(join(repository, 'src/steps'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(repository, 'src/steps', name));
  const declaring = files.flatMap((file) => {
    const kind = /: (?:Tree|File)Step<'([a-z-]+)'> = \{/.exec(readFileSync(file, 'utf8'))?.[1];
    return kind !== undefined && isKind(kind) ? [[kind, file] as const] : [];
  });

  it('are looked for in the file of each kind', () => {
    expect(declaring.map(([kind]) => kind).sort()).toEqual(Object.keys(catalogue).sort());
  });

  it.each(declaring)('%s are all that its code starts', (kind, file) => {
    const declared = new Set(catalogue[kind].tools.map(({ tool }) => tool));
    const started = [...reach(file)]
      .filter((path) => !insideTheImage.some((name) => path.endsWith(name)))
      .flatMap((path) => [
        ...readFileSync(path, 'utf8').matchAll(/^\s*(?:return \{ )?tool: '([^']+)',(?! reason| minimum)/gm),
      ])
      .map(([, tool = '']) => tool);
    const others = ofOthers[kind] ?? [];
    const missing = started.filter(
      (tool) => toolTable.has(tool) && !declared.has(tool) && !others.includes(tool),
    );
    expect(missing).toEqual([]);
  });
});
