import { compareVersions } from '../base/version.ts';

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

/** Whether a version is what the condition wants, in the order of `compareVersions`. */
export function satisfies(version: string, condition: VersionCondition): boolean {
  return operators[condition.operator](compareVersions(version, condition.version));
}
