import type { HostPath } from '../../base/brand.ts';
import type { Diagnostic, Result } from '../../base/diagnostic.ts';
import { fail, ok } from '../../base/diagnostic.ts';
import { closest } from '../../base/suggestion.ts';
import type { Codec, ParseContext } from '../codec.ts';
import { badValue } from '../codec.ts';
import type { ScannedAssignment } from '../scanner.ts';
import { scan } from '../scanner.ts';
import { trim } from '../traced-text.ts';
import { kernelArguments, listOf } from './collections.ts';
import { parsePath } from './paths.ts';
import { boolean } from './scalars.ts';

/** A profile of a unified kernel image: a further way to boot the same kernel. */
export interface UkiProfile {
  /** The file that describes it. */
  readonly file: HostPath;
  /** Fields of the section .profile, ID= among them. */
  readonly fields: Readonly<Record<string, string>>;
  readonly commandLine: readonly string[];
  readonly signExpectedPcr: boolean;
}

/** Files with a section [UKIProfile]. */
export const ukiProfiles: Codec<readonly UkiProfile[], UkiProfile> = listOf<UkiProfile>({
  kind: 'list of files with a section [UKIProfile]',
  schema: {
    type: 'object',
    properties: {
      Profile: { type: 'object', additionalProperties: { type: 'string' } },
      Cmdline: { type: 'array', items: { type: 'string' } },
      SignExpectedPcr: { type: 'boolean' },
    },
  },
  fromFile: (path, origin, context) => {
    const profile = readProfile(path, context);
    return profile.ok ? ok([{ value: profile.value, origin }], profile.warnings) : profile;
  },
  parse: (part, context) => {
    const path = parsePath(part, context, { mustExist: true });
    if (!path.ok) return path;
    const profile = readProfile(path.value, context);
    return profile.ok ? ok([profile.value], profile.warnings) : profile;
  },
  show: ({ file }) => file,
  json: ({ fields, commandLine, signExpectedPcr }) => ({
    Profile: fields,
    Cmdline: commandLine,
    SignExpectedPcr: signExpectedPcr,
  }),
});

interface Draft {
  fields: Readonly<Record<string, string>>;
  commandLine: readonly string[];
  signExpectedPcr: boolean;
}

function readProfile(file: HostPath, context: ParseContext): Result<UkiProfile> {
  const draft: Draft = { fields: {}, commandLine: [], signExpectedPcr: true };
  const scanned = scan(file, context.files.read(file));
  const faults: Diagnostic[] = [...scanned.faults];
  for (const { name, origin, assignments } of scanned.sections) {
    if (name !== 'UKIProfile') {
      faults.push({
        severity: 'error',
        code: 'unknown-section',
        message: `unknown section [${name}]`,
        origin,
        hint: 'Profiles of unified kernel images have [UKIProfile] alone.',
      });
      continue;
    }
    for (const assignment of assignments) faults.push(...applyLine(draft, assignment, context));
  }
  if (draft.fields['ID'] === undefined && faults.length === 0) faults.push(missingId(file));
  const errors = faults.filter(({ severity }) => severity === 'error');
  return errors.length > 0 ? fail(...faults) : ok({ file, ...draft }, faults);
}

function applyLine(draft: Draft, line: ScannedAssignment, context: ParseContext): readonly Diagnostic[] {
  const value = trim(line.value);
  switch (line.key) {
    case 'Profile': {
      const equals = value.text.split('\n').map((field) => field.split('=', 2));
      if (value.text === '') draft.fields = {};
      else if (equals.some(([key = '', text]) => key.trim() === '' || text === undefined))
        return badValue(value, `'${value.text}' is not KEY=VALUE`, 'Write ID=name.').diagnostics;
      else draft.fields = { ...draft.fields, ...fieldsOf(value.text) };
      return [];
    }
    case 'Cmdline': {
      const parsed = kernelArguments.parse(value, context);
      if (!parsed.ok) return parsed.diagnostics;
      const words = parsed.value.map((entry) => entry.value);
      draft.commandLine = value.text === '' ? [] : [...draft.commandLine, ...words];
      return [];
    }
    case 'SignExpectedPcr': {
      const parsed = boolean.parse(value, context);
      if (value.text === '') draft.signExpectedPcr = true;
      else if (!parsed.ok) return parsed.diagnostics;
      else draft.signExpectedPcr = boolean.collect(parsed.value.map((entry) => entry.value));
      return [];
    }
    default:
      return [unknownSetting(line)];
  }
}

function fieldsOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split('\n').map((field) => {
      const equals = field.indexOf('=');
      return [field.slice(0, equals).trim(), field.slice(equals + 1).trim()];
    }),
  );
}

function unknownSetting({ key, keyOrigin }: ScannedAssignment): Diagnostic {
  const known = ['Profile', 'Cmdline', 'SignExpectedPcr'];
  const near = closest(key, known);
  return {
    severity: 'error',
    code: 'unknown-setting',
    message: `${key}= is not a setting`,
    origin: keyOrigin,
    hint: near === undefined ? `Known in [UKIProfile]: ${known.join(', ')}.` : `Did you mean '${near}'?`,
  };
}

function missingId(file: HostPath): Diagnostic {
  return {
    severity: 'error',
    code: 'uki-profile-without-id',
    message: 'the profile has no ID',
    origin: { kind: 'path', path: file },
    hint: 'Add the line Profile=ID=name.',
  };
}
