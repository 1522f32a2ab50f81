/**
 * Orders versions as the UAPI group's version format specification says (systemd-analyze compare-versions): -1 when `left`
 * is older, 0, or 1. Numbers compare as numbers, `~` sorts before everything, characters without a meaning only separate.
 */
export function compareVersions(left: string, right: string): number {
  let a = left;
  let b = right;
  for (;;) {
    a = a.replace(/^[^a-zA-Z0-9~.^-]+/, '');
    b = b.replace(/^[^a-zA-Z0-9~.^-]+/, '');
    const afterTilde = passMarks(a, b, ['~']);
    if (typeof afterTilde === 'number') return afterTilde;
    [a, b] = afterTilde;
    // The longer one is newer, except where it goes on with `~`.
    if (a === '' || b === '') return Math.sign(a.length - b.length);
    const afterMarks = passMarks(a, b, ['-', '^', '.']);
    if (typeof afterMarks === 'number') return afterMarks;
    [a, b] = afterMarks;
    const part = /^[0-9]/.test(a) || /^[0-9]/.test(b) ? /^[0-9]*/ : /^[a-zA-Z]*/;
    const [partA, partB] = [prefix(a, part), prefix(b, part)];
    const order = comparePart(partA, partB);
    if (order !== 0) return order;
    a = a.slice(partA.length);
    b = b.slice(partB.length);
  }
}

/** The rests behind marks that both have; an order where only one has the mark: that one is older. */
function passMarks(left: string, right: string, marks: readonly string[]): number | [string, string] {
  let [a, b] = [left, right];
  for (const mark of marks) {
    const order = Number(b.startsWith(mark)) - Number(a.startsWith(mark));
    if (order !== 0) return order;
    if (a.startsWith(mark)) [a, b] = [a.slice(1), b.slice(1)];
  }
  return [a, b];
}

function prefix(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[0] ?? '';
}

function comparePart(a: string, b: string): number {
  // One is empty where a number meets letters: the number is newer.
  if (a === '' || b === '') return Math.sign(a.length - b.length);
  if (!/^[0-9]/.test(a)) return compareText(a, b);
  const [numberA, numberB] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  if (numberA.length !== numberB.length) return Math.sign(numberA.length - numberB.length);
  return compareText(numberA, numberB);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
