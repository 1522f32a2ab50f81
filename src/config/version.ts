/**
 * Compares versions as systemd does (its version format specification): numbers count as numbers, `~` sorts before the
 * end of the text, `-`, `^` and `.` follow in this order, letters before digits. Negative: `left` is older.
 */
export function compareVersions(left: string, right: string): number {
  const parts = [relevant(left), relevant(right)] as const;
  let [at, other] = [0, 0];
  const [a, b] = parts;
  for (;;) {
    at = skipIrrelevant(a, at);
    other = skipIrrelevant(b, other);
    const separators = compareSeparators(a.charAt(at), b.charAt(other));
    if (separators.decided !== 0) return separators.decided;
    if (separators.both) {
      at++;
      other++;
      continue;
    }
    if (at >= a.length || other >= b.length) return Number(at < a.length) - Number(other < b.length);
    const digits = isDigit(a.charAt(at)) || isDigit(b.charAt(other));
    const [one, two] = [run(a, at, digits), run(b, other, digits)];
    const order = digits ? compareNumbers(one, two) : compareText(one, two);
    if (order !== 0) return order;
    at += one.length;
    other += two.length;
  }
}

type Operator = '==' | '!=' | '>=' | '<=' | '>' | '<' | '=';

export interface VersionCondition {
  readonly operator: Operator;
  readonly version: string;
}

const operators: Readonly<Record<Operator, (order: number) => boolean>> = {
  '==': (order) => order === 0,
  '!=': (order) => order !== 0,
  '>=': (order) => order >= 0,
  '<=': (order) => order <= 0,
  '=': (order) => order === 0,
  '>': (order) => order > 0,
  '<': (order) => order < 0,
};

/** Reads `>=1.2`; without an operator, equality is meant. */
export function conditionOf(text: string): VersionCondition {
  const operator = (['==', '!=', '>=', '<=', '>', '<', '='] as const).find((known) => text.startsWith(known));
  return { operator: operator ?? '==', version: text.slice(operator?.length ?? 0).trim() };
}

export function satisfies(version: string, condition: VersionCondition): boolean {
  return operators[condition.operator](compareVersions(version, condition.version));
}

/** Separators in their order; each sorts before anything that is none of them. */
const separatorOrder = ['~', '', '-', '^', '.'];

function compareSeparators(left: string, right: string): { decided: number; both: boolean } {
  const [one, two] = [separatorRank(left), separatorRank(right)];
  if (one === two) return { decided: 0, both: one < separatorOrder.length && left !== '' };
  return { decided: one - two, both: false };
}

function separatorRank(character: string): number {
  const rank = separatorOrder.indexOf(character);
  return rank < 0 ? separatorOrder.length : rank;
}

function relevant(text: string): string {
  return text.trim();
}

/** Other characters than letters, digits and separators do not count. */
function skipIrrelevant(text: string, from: number): number {
  let at = from;
  while (at < text.length && !/[A-Za-z0-9~^.-]/.test(text.charAt(at))) at++;
  return at;
}

function isDigit(character: string): boolean {
  return /^[0-9]$/.test(character);
}

/** Digits or letters from a place on. */
function run(text: string, from: number, digits: boolean): string {
  return (digits ? /^[0-9]*/ : /^[A-Za-z]*/).exec(text.slice(from))?.[0] ?? '';
}

function compareNumbers(left: string, right: string): number {
  if (left === '' || right === '') return Number(left !== '') - Number(right !== '');
  const [one, two] = [BigInt(left), BigInt(right)];
  return one < two ? -1 : Number(one > two);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
