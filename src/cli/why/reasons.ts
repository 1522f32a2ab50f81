import { readFile } from 'node:fs/promises';
import type { Json } from '../../base/canonical.ts';
import { digestJson, isObject } from '../../base/canonical.ts';
import type { ResolvedImage } from '../../config/project.ts';
import type { SettingName } from '../../config/settings/table.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import { parseResolvedPackages } from '../../distro/resolved.ts';
import type { HostDigests } from '../../engine/digest.ts';
import type { ListingChanges } from '../../engine/input-listings.ts';
import { compareListings } from '../../engine/input-listings.ts';
import type { IdentityChange } from '../../engine/key.ts';
import type { Store } from '../../engine/store.ts';
import type { Cause } from '../../engine/why.ts';
import { planValueAt } from '../../engine/why.ts';
import type { Step } from '../../plan/step.ts';
import { describeOrigin } from '../diagnostics.ts';
import type { PackageChange } from './packages.ts';
import { comparePackages } from './packages.ts';
import { settingBehind } from './settings.ts';

/** One reason why a step's result is not that of last time, ready to be shown. */
export interface Reason {
  /** The step whose own input it is. */
  readonly step: string;
  readonly kind: Cause['kind'];
  /** Place in the step's identity. */
  readonly input?: string;
  readonly setting?: SettingName;
  /** The user's line, flag or file. */
  readonly location?: string;
  readonly before?: Json;
  readonly after?: Json;
  readonly files?: ListingChanges & { readonly directory: string };
  readonly packages?: readonly PackageChange[];
}

/** Where the particulars of a cause are found. */
export interface ReasonSources {
  readonly images: readonly ResolvedImage[];
  readonly digests: Pick<HostDigests, 'listing'>;
  readonly store: Store;
}

/** Looks up what stands behind causes: files for digests of directories, packages for lists of them, lines for settings. */
export async function reasonsFor(
  causes: readonly Cause[],
  sources: ReasonSources,
): Promise<readonly Reason[]> {
  const reasons: Reason[] = [];
  for (const cause of causes) reasons.push(...(await reasonsOf(cause, sources)));
  return reasons;
}

async function reasonsOf(cause: Cause, sources: ReasonSources): Promise<readonly Reason[]> {
  const { step, kind } = cause;
  if (cause.kind === 'input') return inputReasons(step, cause.change, sources);
  const location = step.origin === undefined ? undefined : describeOrigin(step.origin);
  return [{ step: step.id, kind, ...(location === undefined ? {} : { location }) }];
}

async function inputReasons(
  step: Step,
  change: IdentityChange,
  sources: ReasonSources,
): Promise<readonly Reason[]> {
  const { path, before, after } = change;
  if (path === 'inputs.configJson') return configReasons(step, change, sources);
  const common = { step: step.id, kind: 'input', input: path, ...placeOf(step, change, sources) } as const;
  const value = planValueAt(step, path);
  if (path.endsWith('.$host') && isObject(value)) {
    const directory = String(value['$host']);
    const files = await changedFiles(change, sources.digests);
    return [{ ...common, files: { directory, ...files } }];
  }
  if (path.endsWith('.$ref') && isObject(value) && value['type'] === 'file') {
    const packages = await changedPackages(change, sources.store);
    if (packages !== undefined) return [{ ...common, packages }];
  }
  return [
    {
      ...common,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    },
  ];
}

/** The setting behind an input and the line it comes from. */
function placeOf(
  step: Step,
  { path, after }: IdentityChange,
  { images }: ReasonSources,
): Pick<Reason, 'setting' | 'location'> {
  const setting = settingBehind(step, path);
  return setting === undefined ? {} : placeOfSetting(step, setting, { after, images });
}

function placeOfSetting(
  step: Step,
  setting: SettingName,
  { after, images }: { readonly after: Json | undefined; readonly images: readonly ResolvedImage[] },
): Pick<Reason, 'setting' | 'location'> {
  const image = images.find(({ name }) => step.id.startsWith(`${name}/`));
  if (image === undefined) return { setting };
  const item = typeof after === 'string' ? after : undefined;
  const origin = image.originOf(setting, item);
  const heir = origin.kind === 'inherited' ? images.find(({ name }) => name === origin.image) : undefined;
  const location = describeOrigin(heir?.originOf(setting, item) ?? origin);
  return location === undefined ? { setting } : { setting, location };
}

/** Scripts see the whole configuration: the settings in it that differ. */
function configReasons(
  step: Step,
  { path, before, after }: IdentityChange,
  { images }: ReasonSources,
): readonly Reason[] {
  const [old, current] = [before, after].map((text) => parsed(text));
  const names = [...new Set([...Object.keys(old ?? {}), ...Object.keys(current ?? {})])];
  const differing = names.filter(
    (name) => digestJson(old?.[name] ?? null) !== digestJson(current?.[name] ?? null),
  );
  return differing.map((name) => ({
    ...{ step: step.id, kind: 'input', input: `${path}.${name}` },
    ...placeOfSetting(step, name as SettingName, { after: undefined, images }),
    before: old?.[name] ?? null,
    after: current?.[name] ?? null,
  }));
}

function parsed(text: Json | undefined): Readonly<Record<string, Json>> | undefined {
  if (typeof text !== 'string') return undefined;
  const value: unknown = JSON.parse(text);
  return isObject(value) ? (value as Readonly<Record<string, Json>>) : undefined;
}

const noFiles: ListingChanges = { added: [], removed: [], changed: [] };

async function changedFiles(
  { before, after }: IdentityChange,
  digests: Pick<HostDigests, 'listing'>,
): Promise<ListingChanges> {
  if (typeof before !== 'string' || typeof after !== 'string') return noFiles;
  const [old, current] = [await digests.listing(before), await digests.listing(after)];
  return old === undefined || current === undefined ? noFiles : compareListings(old, current);
}

/** undefined where the two are no lists of packages, or are not kept any more. */
async function changedPackages(
  { before, after }: IdentityChange,
  store: Store,
): Promise<readonly PackageChange[] | undefined> {
  const [old, current] = [await packagesOf(before, store), await packagesOf(after, store)];
  return old === undefined || current === undefined ? undefined : comparePackages(old, current);
}

async function packagesOf(
  content: Json | undefined,
  store: Store,
): Promise<readonly ResolvedPackage[] | undefined> {
  for (const key of await store.keys()) {
    const entry = await store.find(key);
    if (entry?.record.kind !== 'resolve-packages' || entry.record.content !== content) continue;
    return parseResolvedPackages(await readFile(entry.path, 'utf8')).packages;
  }
  return undefined;
}
