import { printable } from '../../sandbox/text.ts';
import { xmlAttributes, xmlText } from './xml.ts';

/** What JUnit's form of reports has room for. Text may hold anything that a guest wrote. */
export interface JunitCase {
  readonly name: string;
  readonly seconds: number;
  readonly outcome:
    | { readonly kind: 'passed' }
    | {
        readonly kind: 'failed';
        readonly type: string;
        readonly message: string;
        readonly details: readonly string[];
      }
    | { readonly kind: 'skipped'; readonly message: string };
  /** Last lines of the console. */
  readonly output: readonly string[];
  /** Directory with the evidence. */
  readonly results: string | undefined;
}

/** A report in the form of JUnit (testsuites, testsuite, testcase), which CI systems read. */
export function junitXml(suite: string, cases: readonly JunitCase[]): string {
  const counts = {
    tests: cases.length,
    failures: cases.filter(({ outcome }) => outcome.kind === 'failed').length,
    errors: 0,
    skipped: cases.filter(({ outcome }) => outcome.kind === 'skipped').length,
    time: seconds(cases.reduce((sum, { seconds: time }) => sum + time, 0)),
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${xmlAttributes({ name: 'mkimg', ...counts })}>`,
    `  <testsuite${xmlAttributes({ name: suite, ...counts })}>`,
    ...cases.flatMap((test) => caseLines(suite, test)),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function caseLines(
  suite: string,
  { name, seconds: time, outcome, output, results }: JunitCase,
): readonly string[] {
  const attributes = xmlAttributes({ classname: suite, name, time: seconds(time) });
  const lines = [
    ...outcomeLines(outcome),
    ...(output.length === 0 ? [] : [`      <system-out>${block(output)}</system-out>`]),
    ...(results === undefined || outcome.kind !== 'failed'
      ? []
      : [`      <system-err>${xmlText(`results in ${results}`)}</system-err>`]),
  ];
  if (lines.length === 0) return [`    <testcase${attributes}/>`];
  return [`    <testcase${attributes}>`, ...lines, '    </testcase>'];
}

function outcomeLines(outcome: JunitCase['outcome']): readonly string[] {
  switch (outcome.kind) {
    case 'passed':
      return [];
    case 'skipped':
      return [`      <skipped${xmlAttributes({ message: printable(outcome.message) })}/>`];
    case 'failed': {
      const attributes = xmlAttributes({ type: outcome.type, message: printable(outcome.message) });
      return [`      <failure${attributes}>${block(outcome.details)}</failure>`];
    }
  }
}

function block(lines: readonly string[]): string {
  return xmlText(lines.map(printable).join('\n'));
}

function seconds(value: number): string {
  return value.toFixed(3);
}
