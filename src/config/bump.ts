/**
 * The version after this one: the last component plus one; `.2` is added where the last component is no number, and the
 * first version is 1.
 */
export function nextVersion(version: string | undefined): string {
  if (version === undefined || version === '') return '1';
  const components = version.split('.');
  const last = components.at(-1) ?? '';
  if (!/^\d+$/.test(last)) return `${version}.2`;
  return [...components.slice(0, -1), String(BigInt(last) + 1n)].join('.');
}
