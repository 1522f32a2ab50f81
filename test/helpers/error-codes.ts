import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

/** What a use of a code does to the exit code; `unknown` where the source does not say in place. */
export type ExitCode = '1' | '2' | '130' | '–' | 'unknown';

const source = resolve(import.meta.dirname, '../../src');

const exitOfClass: Readonly<Record<string, ExitCode>> = { build: '1', usage: '2', interrupted: '130' };

/** Every code of an error, diagnostic or note in the source, with the exit codes of its uses. */
export function errorCodes(): ReadonlyMap<string, ReadonlySet<ExitCode>> {
  const codes = new Map<string, Set<ExitCode>>();
  const names = readdirSync(source, { recursive: true, encoding: 'utf8' });
  for (const name of names.filter((path) => path.endsWith('.ts'))) {
    const text = readFileSync(join(source, name), 'utf8');
    const file = ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true);
    const makers = functionsThatTakeCodes(file);
    visit(file, (node) => {
      for (const { code, exit } of usesIn(node, makers)) {
        codes.set(code, (codes.get(code) ?? new Set()).add(exit));
      }
    });
  }
  return codes;
}

interface Use {
  readonly code: string;
  readonly exit: ExitCode;
}

function usesIn(node: ts.Node, makers: ReadonlyMap<string, number>): readonly Use[] {
  if (ts.isNewExpression(node) && node.expression.getText() === 'MkimgError') {
    const [code, , options] = node.arguments ?? [];
    const exit = options === undefined ? '1' : exitOfOptions(options);
    return literalsOf(code).map((text) => ({ code: text, exit }));
  }
  if (ts.isObjectLiteralExpression(node)) {
    const exit = exitOfRecord(node);
    return literalsOf(property(node, 'code')).map((code) => ({ code, exit }));
  }
  if (!ts.isCallExpression(node)) return [];
  const position = makers.get(node.expression.getText());
  const argument = position === undefined ? undefined : node.arguments[position];
  return literalsOf(argument).map((code) => ({ code, exit: 'unknown' }));
}

function exitOfOptions(options: ts.Expression): ExitCode {
  if (!ts.isObjectLiteralExpression(options)) return 'unknown';
  const chosen = property(options, 'class');
  if (chosen === undefined) return '1';
  return ts.isStringLiteral(chosen) ? (exitOfClass[chosen.text] ?? 'unknown') : 'unknown';
}

function exitOfRecord(record: ts.ObjectLiteralExpression): ExitCode {
  const [severity, type] = [property(record, 'severity'), property(record, 'type')];
  if (type !== undefined && literalsOf(type).includes('note')) return '–';
  if (severity === undefined || !ts.isStringLiteral(severity)) return 'unknown';
  return severity.text === 'error' ? '2' : '–';
}

/** The value of a member that is written out. */
function property(record: ts.ObjectLiteralExpression, name: string): ts.Expression | undefined {
  for (const member of record.properties) {
    if (ts.isPropertyAssignment(member) && member.name.getText() === name) return member.initializer;
  }
  return undefined;
}

/** The codes that an expression may be: `isX ? 'a' : 'b'` is two. Firmware has `code:` too, but no words with dashes. */
function literalsOf(expression: ts.Expression | undefined): readonly string[] {
  if (expression === undefined) return [];
  if (ts.isConditionalExpression(expression)) {
    return [...literalsOf(expression.whenTrue), ...literalsOf(expression.whenFalse)];
  }
  return ts.isStringLiteral(expression) && /^[a-z]+(-[a-z]+)*$/.test(expression.text)
    ? [expression.text]
    : [];
}

/** Functions of a module with a parameter called `code`, and its position. */
function functionsThatTakeCodes(file: ts.SourceFile): ReadonlyMap<string, number> {
  const makers = new Map<string, number>();
  visit(file, (node) => {
    if (!ts.isFunctionDeclaration(node) || node.name === undefined) return;
    const position = node.parameters.findIndex(
      ({ name, type }) => name.getText() === 'code' && type?.getText() === 'string',
    );
    if (position >= 0) makers.set(node.name.text, position);
  });
  return makers;
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => {
    visit(child, see);
  });
}
