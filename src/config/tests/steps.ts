import type { Diagnostic, Origin } from '../../base/diagnostic.ts';
import type { BootGoal, TestAction, TestStep, TextExpectation } from './definition.ts';
import type { SectionValue } from './sections.ts';
import type { StepValues } from './settings.ts';
import { stepConditions, stepSettings } from './settings.ts';

/** A [Step] section, read. */
export interface StepSection {
  readonly origin: Origin;
  readonly values: ReadonlyMap<string, SectionValue>;
}

/** A step, or what is wrong with it. */
export type ReadStep = { readonly step: TestStep } | { readonly faults: readonly Diagnostic[] };

const actionNames = Object.entries(stepSettings)
  .filter(([, setting]) => 'action' in setting)
  .map(([name]) => name);

/** The step that a section describes. Pure. */
export function readStep({ origin, values }: StepSection): ReadStep {
  const [name, ...more] = actionNames.filter((action) => values.has(action));
  if (name === undefined) {
    const hint = `Say what it does with one of ${actionNames.map((action) => `${action}=`).join(' ')}.`;
    return { faults: [badStep('the step does nothing', origin, hint)] };
  }
  const given = values.get(name);
  const takes: readonly string[] = [name, 'Timeout', ...(stepConditions[name] ?? [])];
  const foreign = [...values].filter(([key]) => !takes.includes(key) && !more.includes(key));
  const faults = [
    ...more.map((other) =>
      badStep(
        `${name}= and ${other}= are two steps`,
        values.get(other)?.origin ?? origin,
        'Give each a [Step] of its own.',
      ),
    ),
    ...foreign.map(([key, { origin: place }]) =>
      badStep(
        `${key}= means nothing to a step with ${name}=`,
        place,
        `It takes ${takes.slice(1).join('=, ')}=.`,
      ),
    ),
  ];
  if (faults.length > 0) return { faults };
  // The codecs of the table made these values.
  const known = Object.fromEntries([...values].map(([key, { value }]) => [key, value])) as StepValues;
  return {
    step: {
      action: actionOf(name, known),
      label: labelOf(name, given?.value),
      timeout: known.Timeout,
      origin: given?.origin ?? origin,
    },
  };
}

/** One line that names the step. */
function labelOf(name: string, value: unknown): string {
  const setting = (stepSettings as Readonly<Record<string, { codec: { show(value: unknown): string } }>>)[
    name
  ];
  const [first = '', ...more] = (setting?.codec.show(value) ?? '').split('\n');
  return `${name}=${first}${more.length > 0 ? ' …' : ''}`;
}

const makers: Readonly<Record<string, (values: StepValues) => TestAction>> = {
  Boot: ({ Boot = 'up', Image, Drive }) => ({
    kind: 'boot',
    goal: Boot,
    ...(Image === undefined ? {} : { image: Image }),
    ...(Drive === undefined ? {} : { drive: Drive }),
  }),
  WaitForUnit: ({ WaitForUnit = [] }) => ({ kind: 'wait-for-unit', units: WaitForUnit }),
  Command: (values) => ({
    kind: 'run',
    script: { text: `${values.Command ?? ''}\n` },
    exitStatus: values.ExitStatus ?? 0,
    stdout: expectationOf(values),
  }),
  Script: ({ Script, ...values }) => ({
    kind: 'run',
    script: Script === undefined ? { text: '' } : { file: Script },
    exitStatus: values.ExitStatus ?? 0,
    stdout: expectationOf(values),
  }),
  File: (values) => ({ kind: 'file', path: values.File ?? '', content: expectationOf(values) }),
  Port: (values) => ({
    kind: 'port',
    port: values.Port ?? 0,
    ...(values.Send === undefined ? {} : { send: unescaped(values.Send) }),
    received: expectationOf(values),
  }),
  Console: ({ Console = '' }) => ({ kind: 'console', expression: Console }),
  Type: ({ Type = '' }) => ({ kind: 'type', text: Type }),
  Keys: ({ Keys = [] }) => ({ kind: 'keys', chords: Keys }),
  Screenshot: ({ Screenshot = '' }) => ({ kind: 'screenshot', name: Screenshot }),
  Power: ({ Power = 'off' }) => ({ kind: 'power', change: Power }),
  Unplug: ({ Unplug = '' }) => ({ kind: 'unplug', drive: Unplug }),
};

function actionOf(name: string, values: StepValues): TestAction {
  const make = makers[name];
  if (make === undefined) throw new Error(`internal: no action ${name}`);
  return make(values);
}

const escapes: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '\\': '\\' };

function unescaped(text: string): string {
  return text.replace(/\\([rnt\\])/g, (_, letter: string) => escapes[letter] ?? '');
}

function expectationOf({ Equals, Matches, Json = [] }: StepValues): TextExpectation {
  return {
    ...(Equals === undefined ? {} : { equals: Equals }),
    ...(Matches === undefined ? {} : { matches: Matches }),
    json: Json,
  };
}

/** A step that boots the image, for tests that begin with something else. */
export function implicitBoot(origin: Origin, goal: BootGoal = 'up'): TestStep {
  return { action: { kind: 'boot', goal }, label: `Boot=${goal}`, timeout: undefined, origin };
}

/** Steps that make no sense where they stand: there must be a machine to act on, and a disk to name. Pure. */
export function orderFaults(steps: readonly TestStep[], driveIds: readonly string[]): readonly Diagnostic[] {
  const faults: Diagnostic[] = [];
  let runs = false;
  for (const step of steps) {
    faults.push(...machineFaults(step, runs), ...driveFaults(step, driveIds));
    runs = runsAfter(step.action, runs);
  }
  return faults;
}

function runsAfter(action: TestAction, runs: boolean): boolean {
  if (action.kind === 'boot') return true;
  return runs && (action.kind !== 'power' || action.change === 'reboot');
}

function machineFaults({ action, label, origin }: TestStep, runs: boolean): readonly Diagnostic[] {
  if (action.kind === 'boot') {
    return runs
      ? [badStep('the machine runs already', origin, 'End it with Power=off or Power=cut first.')]
      : [];
  }
  return runs
    ? []
    : [badStep(`no machine runs that could do ${label}`, origin, 'Start it with Boot= first.')];
}

function driveFaults({ action, origin }: TestStep, driveIds: readonly string[]): readonly Diagnostic[] {
  if (action.kind !== 'boot' && action.kind !== 'unplug') return [];
  const { drive } = action;
  if (drive === undefined) return [];
  if (action.kind === 'boot' && action.image !== undefined)
    return [badStep('Image= and Drive= each say what to boot', origin, 'Give one of them.')];
  if (driveIds.includes(drive)) return [];
  const known = driveIds.length === 0 ? 'There is none' : `There are ${driveIds.join(', ')}`;
  return [badStep(`the machine has no disk '${drive}'`, origin, `${known}; Drives= in [Runtime] adds one.`)];
}

function badStep(message: string, origin: Origin, hint: string): Diagnostic {
  return { severity: 'error', code: 'bad-step', message, origin, hint };
}
