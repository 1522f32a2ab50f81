import type { Diagnostic } from '../../base/diagnostic.ts';
import { ConfigurationError } from '../../base/errors.ts';
import { closest } from '../../base/suggestion.ts';
import type { BootTestDefinition } from '../../config/project.ts';

/** Tests to run, and those that are not for this image. */
export interface SelectedTests {
  readonly tests: readonly BootTestDefinition[];
  readonly skipped: readonly SkippedTest[];
}

export interface SkippedTest {
  readonly name: string;
  readonly reason: string;
}

/**
 * The tests that are named, or all. @throws ConfigurationError for names that no test has
 */
export function selectTests(all: readonly BootTestDefinition[], names: readonly string[]): SelectedTests {
  const faults = names
    .filter((name) => all.every((test) => test.name !== name))
    .map((name) => unknownTest(name, all));
  if (faults.length > 0) throw new ConfigurationError(faults);
  const wanted = names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
  return {
    tests: wanted.filter(({ failed }) => failed.length === 0),
    skipped: wanted
      .filter(({ failed }) => failed.length > 0)
      .map((test) => ({ name: test.name, reason: reasonOf(test) })),
  };
}

function reasonOf({ failed }: BootTestDefinition): string {
  const conditions = failed.map(
    ({ key, wanted, actual }) => `${key}=${wanted}${actual === undefined ? '' : ` (it is ${actual})`}`,
  );
  return `its conditions do not hold: ${conditions.join(', ')}`;
}

function unknownTest(name: string, all: readonly BootTestDefinition[]): Diagnostic {
  const names = all.map((test) => test.name);
  const near = closest(name, names);
  const known =
    names.length === 0 ? 'It has none: mkimg.tests/ is missing or empty.' : `It has ${names.join(', ')}.`;
  return {
    severity: 'error',
    code: 'unknown-test',
    message: `the image has no test '${name}'`,
    hint: near === undefined ? known : `Did you mean ${near}?`,
  };
}

/** What `--list` says. */
export function listText(all: readonly BootTestDefinition[]): string {
  if (all.length === 0)
    return 'There are no tests in mkimg.tests/: mkimg test boots the image and waits until it is up.';
  const width = Math.max(...all.map(({ name }) => name.length));
  return all
    .map((test) => {
      const { name, description = '', failed } = test;
      const note = failed.length === 0 ? '' : ` [not here: ${reasonOf(test)}]`;
      return `${name.padEnd(width)}  ${description}${note}`.trimEnd();
    })
    .join('\n');
}

/** The same as one JSON document. */
export function listJson(all: readonly BootTestDefinition[]): string {
  const tests = all.map((test) => ({
    name: test.name,
    description: test.description ?? null,
    file: test.path,
    timeout: test.timeout,
    steps: test.steps.map(({ label }) => label),
    skipped: test.failed.length === 0 ? null : reasonOf(test),
  }));
  return JSON.stringify({ tests }, undefined, 2);
}
