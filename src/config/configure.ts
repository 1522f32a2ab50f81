import type { HostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import { itemsFromJson, sameJson } from './json-values.ts';
import type { ImageLoading } from './loading.ts';
import { fallbackContext, parseContext } from './loading.ts';
import type { ProgramOutcome } from './programs.ts';
import type { ResolvedImage } from './resolved-image.ts';
import { derivedMembers, finishImage, imageJson } from './resolved-image.ts';
import type { SettingName, SettingRow } from './settings/table.ts';
import { settingRows } from './settings/table.ts';
import type { Resolved } from './values.ts';
import { fallback } from './values.ts';

type Changes = Map<SettingName, Resolved>;

/**
 * Lets the ConfigureScripts= of an image rewrite its values, one after the other: each reads the image as JSON and writes it,
 * changed. Settings that a script leaves out, and those that it leaves as they are, keep their values and origins.
 * @param given values that do not follow from assignments
 */
export function configureImage(
  loading: ImageLoading,
  given: ReadonlyMap<SettingName, Resolved>,
): ResolvedImage {
  const changes: Changes = new Map(given);
  let image = finishImage(loading, changes);
  for (const script of image.config.ConfigureScripts) {
    const output = outputOf(loading, image, script);
    if (output === undefined) return image;
    readChanges(loading, { image, script, output }, changes);
    image = finishImage(loading, changes);
  }
  return image;
}

/** undefined when it cannot be told, or not yet. */
function outputOf(loading: ImageLoading, image: ResolvedImage, script: HostPath): string | undefined {
  const { config, environment } = image;
  const outcome: ProgramOutcome | 'refused' | undefined = loading.world.programs.ask({
    program: script,
    argv: [],
    directory: loading.directory,
    input: JSON.stringify(imageJson(image, { revealSecrets: true })),
    environment: {
      ...environment,
      ARCHITECTURE: config.Architecture,
      DISTRIBUTION: config.Distribution,
      RELEASE: config.Release,
      PROFILES: config.Profiles.join(' '),
      SRCDIR: loading.directory,
    },
  });
  if (outcome === undefined) return undefined;
  if (outcome !== 'refused' && outcome.ok) return outcome.output;
  loading.faults.push({
    severity: 'error',
    code: outcome === 'refused' ? 'executable-value' : 'program-failed',
    message:
      outcome === 'refused'
        ? `${script} is a program, and programs are not run here (ConfigureScripts=)`
        : `the configure script ${script} failed: ${outcome.reason}`,
    origin: scriptOrigin(image, script),
  });
  return undefined;
}

function scriptOrigin(image: ResolvedImage, script: HostPath): Origin {
  return image.originOf('ConfigureScripts', script);
}

interface Answer {
  readonly image: ResolvedImage;
  readonly script: HostPath;
  readonly output: string;
}

function readChanges(loading: ImageLoading, answer: Answer, changes: Changes): void {
  const members = parseAnswer(answer.output);
  if (members === undefined) {
    loading.faults.push(badAnswer(answer, 'is not a JSON object'));
    return;
  }
  const before = imageJson(answer.image, { revealSecrets: true });
  const rows = new Map<string, SettingRow>(settingRows.map((row) => [row.name, row]));
  for (const [name, json] of Object.entries(members)) {
    if (name === 'Image' || derivedMembers.includes(name) || isSame(json, before[name])) continue;
    const row = rows.get(name);
    if (row === undefined) {
      const fault = unknownKey(answer, name, [...rows.keys()]);
      if (!isEmpty(json)) loading.faults.push(fault);
      continue;
    }
    const resolved =
      json === null ? unsetValue(loading, row) : readValue(loading, { row, json, script: answer.script });
    if (resolved === undefined) loading.faults.push(badAnswer(answer, `has a bad value of ${name}`));
    else changes.set(row.name, resolved);
  }
}

function parseAnswer(output: string): Readonly<Record<string, Json>> | undefined {
  try {
    const json: unknown = JSON.parse(output);
    // JSON.parse gives nothing but JSON.
    if (typeof json === 'object' && json !== null && !Array.isArray(json))
      return json as Record<string, Json>;
    return undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

interface GivenValue {
  readonly row: SettingRow;
  readonly json: Json;
  readonly script: HostPath;
}

function readValue(loading: ImageLoading, { row, json, script }: GivenValue): Resolved | undefined {
  const origin: Origin = { kind: 'path', path: script };
  const { codec } = row.setting;
  const items = itemsFromJson(codec, json, parseContext(loading, loading.directory));
  if (items === undefined) return undefined;
  const entries = items.map((value) => ({ value, origin }));
  return { value: codec.collect(items), entries, isDefault: false, idleRemovals: [] };
}

/** null stands for what holds when nobody sets it. */
function unsetValue(loading: ImageLoading, row: SettingRow): Resolved {
  const value = fallback(loading.values, row, fallbackContext(loading));
  return { value, entries: [], isDefault: true, idleRemovals: [] };
}

function isSame(json: Json, before: Json | undefined): boolean {
  return before !== undefined && sameJson(json, before);
}

function isEmpty(json: Json): boolean {
  return (
    json === null ||
    json === '' ||
    json === false ||
    (typeof json === 'object' && Object.keys(json).length === 0)
  );
}

function badAnswer({ image, script }: Answer, what: string): Diagnostic {
  return {
    severity: 'error',
    code: 'bad-configure-output',
    message: `what the configure script ${script} wrote ${what}`,
    origin: scriptOrigin(image, script),
    hint: 'It must write the JSON that it reads, with other values where it wants some.',
  };
}

function unknownKey({ image, script }: Answer, name: string, known: readonly string[]): Diagnostic {
  const near = closest(name, known);
  return {
    severity: 'error',
    code: 'unknown-setting',
    message: `the configure script ${script} sets ${name}, which is not a setting`,
    origin: scriptOrigin(image, script),
    ...(near !== undefined && { hint: `Did you mean '${near}'?` }),
  };
}
