import type { Diagnostic, Origin } from '../../base/diagnostic.ts';
import { ok } from '../../base/diagnostic.ts';
import { compareVersions } from '../../base/version.ts';
import type { Codec } from '../codec.ts';
import { badValue } from '../codec.ts';

/** The version of mkosi whose configuration language this is. */
export const languageVersion = 27;

/** Versions of mkosi; the newest counts, wherever it stands. One whose language is newer than this one is a fault. */
export const minimumVersion: Codec<string | undefined, string> = {
  kind: 'version of mkosi',
  merge: 'append',
  keepsOnEmpty: true,
  schema: { type: 'string' },
  parse: (value) => {
    const version = value.text;
    if (version.startsWith('commit:'))
      return ok([{ value: version, origin: value.origin() }], [commitNote(value.origin())]);
    const major = /^v?(\d{1,9})/.exec(version)?.[1];
    if (major === undefined)
      return badValue(value, `'${version}' is not a version`, 'Write a version such as 26.');
    if (Number(major) > languageVersion && !version.startsWith(`${languageVersion + 1}~`)) {
      return badValue(
        value,
        `this configuration is for mkosi ${version} or newer`,
        `mkimg understands the configuration language of mkosi ${languageVersion}.`,
      );
    }
    return ok([{ value: version, origin: value.origin() }]);
  },
  collect: (versions) =>
    versions.reduce<string | undefined>(
      (highest, version) =>
        highest === undefined || version.startsWith('commit:') || compareVersions(version, highest) > 0
          ? version
          : highest,
      undefined,
    ),
  items: (value) => (value === undefined ? [] : [value]),
  show: (value) => value ?? '',
  label: (version) => version,
  json: (value) => value ?? null,
};

function commitNote(origin: Origin): Diagnostic {
  return {
    severity: 'warning',
    code: 'uncompared-version',
    message: 'mkimg does not know the commits of mkosi, so it does not check this one',
    origin,
    hint: `Write a version: mkimg understands the configuration language of mkosi ${languageVersion}.`,
  };
}
