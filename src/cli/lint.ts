import type { Diagnostic } from '../base/diagnostic.ts';
import { unsupportedInProject } from '../config/buildable.ts';
import { hostFiles } from '../config/files.ts';
import { lintProject } from '../config/lint.ts';
import type { RunProgram } from '../config/programs.ts';
import type { Project } from '../config/project.ts';
import { loadProject } from '../config/project.ts';
import { distinct } from '../config/reading.ts';
import { describeOrigin, formatDiagnostics } from './diagnostics.ts';
import { buildableImages } from './session/images.ts';
import { inputFaults } from './session/inputs.ts';

import type { Verb, VerbContext } from './verb.ts';

export const lintVerb: Verb = {
  name: 'lint',
  summary: 'Find faults, and lines that have no effect, in the configuration',
  doc: `Reads the configuration of all images, also the files that do not count at present and the tests in
\`mkimg.tests/\`, and prints what is wrong or has
no effect: unknown sections, settings and files, old names, lines that another line of their file overrides, items that come
twice, removals that remove nothing, conditions that can never hold, profiles that change nothing, inputs that are missing.
No program is run: programs among the files of a configuration (\`mkimg.version\`, configure scripts) count as if they said
nothing. Exit code 2 if there is an error, with \`--strict\` also for warnings.`,
  answers: true,
  options: [{ name: 'strict', takesValue: false, summary: 'Fail on warnings as well' }],
  run: async (context) => {
    const findings = await lint(context);
    context.print(context.options.json ? findingsJson(findings) : findingsText(findings));
    const isStrict = context.options.extra['strict'] !== undefined;
    return findings.some(({ severity }) => isStrict || severity === 'error') ? 2 : 0;
  },
};

async function lint({ assignments, options }: VerbContext): Promise<readonly Diagnostic[]> {
  const loaded = await loadProject({
    directory: options.directory,
    assignments,
    environment: process.env,
    runProgram: sayNothing,
    readsTests: true,
  });
  const read = loaded.ok ? loaded.warnings : loaded.diagnostics;
  const found = loaded.ok ? [...lintProject(loaded.value, hostFiles), ...buildFindings(loaded.value)] : [];
  // That the version of systemd is not known is no fault of the configuration: nobody asked for it here.
  return distinct([...read, ...found])
    .filter(({ code }) => code !== 'no-systemd-version')
    .sort(byPlace);
}

/** In the place of a program: a configure script that changes nothing, a version file that is empty. */
const sayNothing: RunProgram = ({ input }) => Promise.resolve({ ok: true, output: input ?? '' });

/** What a build would refuse: missing inputs; values that mkimg has no effect for yet are right for all that. */
function buildFindings(project: Project): readonly Diagnostic[] {
  const images = buildableImages(project);
  const wanted = images.map(({ name }) => name);
  return [
    ...inputFaults(project.images, wanted),
    ...unsupportedInProject(images, 'run').map((fault): Diagnostic => ({ ...fault, severity: 'warning' })),
  ];
}

/** Errors first; then by file and line. */
function byPlace(left: Diagnostic, right: Diagnostic): number {
  if (left.severity !== right.severity) return left.severity === 'error' ? -1 : 1;
  const [one, other] = [left, right].map(placeOf);
  if (one === undefined || other === undefined || one.file === other.file)
    return (one?.line ?? 0) - (other?.line ?? 0);
  return one.file < other.file ? -1 : 1;
}

function placeOf({ origin }: Diagnostic): { readonly file: string; readonly line: number } {
  if (origin?.kind === 'file') return origin.span;
  return { file: origin === undefined ? '' : (describeOrigin(origin) ?? ''), line: 0 };
}

/** The findings for people, and how many there are. */
export function findingsText(findings: readonly Diagnostic[]): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.length - errors;
  if (findings.length === 0) return 'Nothing to say against this configuration.';
  const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  return `${formatDiagnostics(findings)}\n${count(errors, 'error')}, ${count(warnings, 'warning')}`;
}

/** The findings as one JSON document. */
export function findingsJson(findings: readonly Diagnostic[]): string {
  const list = findings.map(({ severity, code, message, origin, hint, related }) => ({
    severity,
    code,
    message,
    ...(origin?.kind === 'file' ? origin.span : { place: origin && describeOrigin(origin) }),
    hint,
    related: related?.map((other) => ({ message: other.message, place: describeOrigin(other.origin) })),
  }));
  return JSON.stringify({ findings: list }, undefined, 2);
}
