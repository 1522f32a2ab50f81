/**
 * Orders versions of Debian packages as deb-version(7) says: negative when `left` is older, 0, or positive. `~` sorts before
 * everything, even the end of a part; letters before other characters; numbers by their value.
 */
export function compareDebianVersions(left: string, right: string): number {
  const [a, b] = [splitVersion(left), splitVersion(right)];
  return (
    compareNumbers(a.epoch, b.epoch) ||
    comparePart(a.upstream, b.upstream) ||
    comparePart(a.revision, b.revision)
  );
}

const operators = {
  '<<': (order: number) => order < 0,
  '<=': (order: number) => order <= 0,
  '=': (order: number) => order === 0,
  '>=': (order: number) => order >= 0,
  '>>': (order: number) => order > 0,
} as const;

/** How a relation compares a version. */
export type VersionOperator = keyof typeof operators;

/** `>>= ` and the like; dpkg reads the old `<` and `>` as `<=` and `>=`. */
export function parseOperator(text: string): VersionOperator | undefined {
  if (text === '<') return '<=';
  if (text === '>') return '>=';
  return text in operators ? (text as VersionOperator) : undefined;
}

/** Whether a version satisfies `OPERATOR wanted`. */
export function satisfiesVersion(version: string, operator: VersionOperator, wanted: string): boolean {
  return operators[operator](compareDebianVersions(version, wanted));
}

interface VersionParts {
  readonly epoch: string;
  readonly upstream: string;
  readonly revision: string;
}

function splitVersion(version: string): VersionParts {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: colon < 0 ? '' : version.slice(0, colon),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? '' : rest.slice(dash + 1),
  };
}

/** Stretches of other characters and of digits take turns. */
function comparePart(left: string, right: string): number {
  const [a, b] = [left.split(/(\d+)/), right.split(/(\d+)/)];
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const compare = index % 2 === 0 ? compareCharacters : compareNumbers;
    const order = compare(a[index] ?? '', b[index] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

function compareCharacters(left: string, right: string): number {
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const order = weight(left, index) - weight(right, index);
    if (order !== 0) return order;
  }
  return 0;
}

function weight(text: string, index: number): number {
  const character = text.charAt(index);
  if (character === '~') return -1;
  if (character === '') return 0;
  return character.charCodeAt(0) + (/[A-Za-z]/.test(character) ? 0 : 256);
}

/** As strings of digits: they have no greatest value. */
function compareNumbers(left: string, right: string): number {
  const [a, b] = [left.replace(/^0+/, ''), right.replace(/^0+/, '')];
  if (a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
