import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Diagnostic } from '../../base/diagnostic.ts';
import { applyLine } from '../assignments.ts';
import { closest } from '../../base/suggestion.ts';
import { failedConditions } from '../conditions.ts';
import { named, prefixOf } from '../directory.ts';
import { leftover } from '../known-files.ts';
import type { ImageLoading, Position, Prefix } from '../loading.ts';
import { fallbackContext } from '../loading.ts';
import type { ScannedFile, ScannedSection } from '../scanner.ts';
import { scan } from '../scanner.ts';
import type { SettingName } from '../settings/table.ts';
import { conditionSections, findSection, settingRow } from '../settings/table.ts';
import type { Resolved } from '../values.ts';
import { copyOfValues, resolve } from '../values.ts';
import { isResultName } from './codecs.ts';
import type { BootTestDefinition, TestStep } from './definition.ts';
import { sectionValues } from './sections.ts';
import { stepSettings, testSettings } from './settings.ts';
import { implicitBoot, orderFaults, readStep } from './steps.ts';

/** Seconds. */
const defaultTimeout = 300;

/** The tests of an image, by name, and what is wrong with them. */
export interface ReadTests {
  readonly tests: readonly BootTestDefinition[];
  readonly faults: readonly Diagnostic[];
}

/** Reads mkimg.tests/ in the configuration directory of an image whose own configuration was read. */
export function readTests(image: ImageLoading, prefix: Prefix): ReadTests {
  const { files } = image.world;
  if (image.world.isProjectless === true || files.stat(image.home)?.directory !== true)
    return { tests: [], faults: [] };
  const own = prefixOf(files, image.home) ?? prefix;
  const faults: Diagnostic[] = [];
  const tests = testFiles(image, own, faults).flatMap((file) => {
    const loading = forTest(image);
    const test = readTest(loading, file);
    faults.push(...loading.faults);
    return test;
  });
  return { tests, faults };
}

/** A test file and where its relative paths begin. */
interface TestFile {
  readonly name: string;
  readonly path: HostPath;
  readonly position: Position;
}

function testFiles(image: ImageLoading, prefix: Prefix, faults: Diagnostic[]): readonly TestFile[] {
  const { files } = image.world;
  const folder = named({ directory: image.home, prefix }, '.tests');
  const found = new Map<string, TestFile>();
  for (const entry of files.list(folder)) {
    const inner = hostPath(join(folder, entry));
    const isDirectory = files.stat(inner)?.directory === true;
    if (entry.startsWith('.') || leftover.test(entry) || (!isDirectory && !entry.endsWith('.conf'))) continue;
    const name = isDirectory ? entry : entry.slice(0, -'.conf'.length);
    const path = isDirectory ? hostPath(join(inner, `${prefix}.test.conf`)) : inner;
    const fault = placeFault(image, { name, path }, found);
    if (fault !== undefined) {
      faults.push(fault);
      continue;
    }
    const directory = isDirectory ? inner : image.home;
    // Stronger than all files, weaker than the command line.
    found.set(name, { name, path, position: { directory, prefix, layer: 'local directory' } });
  }
  return [...found.values()];
}

function placeFault(
  image: ImageLoading,
  { name, path }: Pick<TestFile, 'name' | 'path'>,
  found: ReadonlyMap<string, TestFile>,
): Diagnostic | undefined {
  if (!isResultName(name))
    return fileFault(path, 'bad-test-name', {
      message: `a test cannot be called '${name}'`,
      hint: 'Use letters, digits and . _ + -',
    });
  if (found.has(name))
    return fileFault(path, 'bad-test-name', {
      message: `there are two tests '${name}'`,
      hint: `Keep ${name}/ or ${name}.conf.`,
    });
  if (image.world.files.stat(path) === undefined)
    return fileFault(path, 'missing-file', {
      message: 'the directory of a test has no such file',
      hint: 'Describe the test in it, or move the directory.',
    });
  return undefined;
}

function fileFault(
  path: HostPath,
  code: string,
  text: { readonly message: string; readonly hint: string },
): Diagnostic {
  return { severity: 'error', code, ...text, origin: { kind: 'path', path } };
}

/** The image with what a test changes: its own values are not touched. */
function forTest(image: ImageLoading): ImageLoading {
  return {
    ...image,
    // How a machine is to be is a matter of the main image, but a test may say it for any.
    role: 'main',
    values: copyOfValues(image.values),
    faults: [],
    history: [],
    visits: [],
  };
}

function readTest(loading: ImageLoading, { name, path, position }: TestFile): BootTestDefinition[] {
  const file = scan(path, loading.world.files.read(path));
  loading.faults.push(...file.faults);
  const place = { file: path, position };
  const failed = failedConditions(loading, file, position);
  noteUnknownSections(loading, file);
  for (const section of file.sections.filter(({ name: header }) => findSection(header) === 'Runtime')) {
    for (const line of section.assignments) applyLine(loading, line, { ...place, section: section.name });
  }
  const named = (header: string): readonly ScannedSection[] =>
    file.sections.filter((section) => section.name === header);
  const values = sectionValues(loading, named('Test'), { settings: testSettings, place });
  const runtime = changedValues(loading);
  const steps = readSteps(loading, named('Step'), { place, origin: { kind: 'path', path } });
  if (steps === undefined) return [];
  loading.faults.push(...orderFaults(steps, driveIds(loading)));
  return [
    {
      name,
      path,
      // The codecs of the table made these values.
      description: values.get('Description')?.value as string | undefined,
      timeout: (values.get('Timeout')?.value as number | undefined) ?? defaultTimeout,
      runtime,
      steps,
      failed,
    },
  ];
}

function driveIds(loading: ImageLoading): readonly string[] {
  const drives = resolve(loading.values, settingRow('Drives'), fallbackContext(loading)).value;
  return (drives as readonly { readonly id: string }[]).map(({ id }) => id);
}

/** undefined when a step is faulty: what follows from it would be said twice. */
function readSteps(
  loading: ImageLoading,
  sections: readonly ScannedSection[],
  {
    place,
    origin,
  }: {
    readonly place: Pick<TestFile, 'position'> & { readonly file: HostPath };
    readonly origin: TestStep['origin'];
  },
): readonly TestStep[] | undefined {
  const before = loading.faults.length;
  const steps = sections.flatMap((section) => {
    const count = loading.faults.length;
    const values = sectionValues(loading, [section], { settings: stepSettings, place });
    // A step with a bad value lacks it, and is not judged without.
    if (loading.faults.slice(count).some(({ severity }) => severity === 'error')) return [];
    const read = readStep({ origin: section.origin, values });
    if ('step' in read) return [read.step];
    loading.faults.push(...read.faults);
    return [];
  });
  if (loading.faults.slice(before).some(({ severity }) => severity === 'error')) return undefined;
  return steps[0]?.action.kind === 'boot' ? steps : [implicitBoot(origin), ...steps];
}

/** Settings that the test itself assigned. */
function changedValues(loading: ImageLoading): ReadonlyMap<SettingName, Resolved> {
  const names = new Set(loading.history.map(({ setting }) => setting));
  const context = fallbackContext(loading);
  return new Map([...names].map((name) => [name, resolve(loading.values, settingRow(name), context)]));
}

function noteUnknownSections(loading: ImageLoading, file: ScannedFile): void {
  const known: readonly string[] = ['Test', 'Step', 'Runtime', ...conditionSections];
  for (const { name, origin } of file.sections) {
    if (name === '' || known.includes(name) || findSection(name) === 'Runtime') continue;
    const near = closest(name, known);
    loading.faults.push({
      severity: 'error',
      code: 'unknown-section',
      message: `a test has no section [${name}]`,
      origin,
      hint:
        near === undefined
          ? `Known: ${known.map((header) => `[${header}]`).join(' ')}.`
          : `Did you mean [${near}]?`,
    });
  }
}
