import type { HostPath, ImageName } from '../base/brand.ts';
import type { Result } from '../base/diagnostic.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import type { Codec, ParseContext } from './codec.ts';
import type { TracedText } from './traced-text.ts';

/**
 * Which images a value holds for:
 * - `local`: the image that it was given for;
 * - `universal`, `multiversal`: the main image decides for all; `multiversal` for the tools tree as well;
 * - `inherit`: the main image's value is where other images start from;
 * - `initrd-inherit`: the same, for the default initrd only;
 * - `main`: the main image only;
 * - `tools`, `initrd`: set in the main image; the tools tree or the default initrd takes it as the setting whose name
 *   lacks `ToolsTree` or `Initrd`.
 */
export type Scope =
  'local' | 'universal' | 'multiversal' | 'inherit' | 'initrd-inherit' | 'main' | 'tools' | 'initrd';

export interface HostFacts {
  readonly architecture: ArchitectureName;
  /** ID= of os-release(5). */
  readonly distribution: string | undefined;
  /** ID_LIKE= of os-release(5): what the distribution descends from, the closest first. */
  readonly like?: readonly string[];
  /** VERSION_CODENAME= of os-release(5). */
  readonly codename: string | undefined;
  /** VERSION_ID= of os-release(5). */
  readonly version?: string;
  /** The certificates that this machine trusts, in one file. */
  readonly certificates?: HostPath;
}

/** What a default may depend on besides other settings. */
export interface FallbackContext {
  readonly image: ImageName;
  /** The project's directory, as -C says it. */
  readonly directory: HostPath;
  /** Where the configuration of the main image is: the same, or `mkosi/` in it. */
  readonly configuration: HostPath;
  /** No project is read (`-C ''`), so the directory is only the one to work in. */
  readonly isProjectless?: boolean;
  readonly host: HostFacts;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What a setting is when nobody sets it: a pure function of the settings in `from`. */
export interface Fallback<T> {
  readonly from: Readonly<Record<string, Setting<unknown>>>;
  make(values: Readonly<Record<string, unknown>>, context: FallbackContext): T;
}

/** Files that set a value by their name alone, such as mkimg.extra/. */
export interface ImplicitFile {
  /** What follows the prefix: `.extra`. */
  readonly suffix: string;
  readonly type: 'file' | 'directory' | 'any';
  /** `path`: the file is the value; `content`: its text is; `directory entries`: each file in it is. */
  readonly use: 'path' | 'content' | 'entries';
  /** Of `entries`: only names with this ending (`.conf`). */
  readonly ending?: string;
}

/** Tells whether a condition of [Match] holds for a value. */
export type MatchRule<T> = (value: T, condition: TracedText, context: ParseContext) => Result<boolean>;

export interface FlagNames {
  /** Without dashes; by default the setting's name in kebab case. */
  readonly long?: string;
  readonly short?: string;
  /** One letter that takes no value and stands for `text`. */
  readonly shorthand?: { readonly letter: string; readonly text: string };
  /** Long names that it had in older versions of mkosi. */
  readonly oldLongs?: readonly string[];
  /** What the long flag stands for without a value; by default it needs one. */
  readonly bare?: string;
}

interface SettingBase {
  readonly scope: Scope;
  /** Also mkimg.tools.conf may set it. */
  readonly inTools?: true;
  /** mkimg understands it and does nothing with it yet. */
  readonly effect?: 'later';
  /** One line for help texts and the manual. */
  readonly summary: string;
  /** What the manual says; Markdown. */
  readonly doc: string;
  readonly flags?: FlagNames;
  readonly implicit?: readonly ImplicitFile[];
  /** The letter of `%x` in other values. */
  readonly specifier?: string;
  /** Names that it had in older versions of mkosi. */
  readonly oldNames?: readonly string[];
  /** Names that it had when its value was written in another way, with what reads that. */
  readonly oldForms?: Readonly<Record<string, Codec<unknown>['parse']>>;
  /** `summary` shows it even where it is the default. */
  readonly essential?: boolean;
}

export interface SettingDefinition<T> extends SettingBase {
  readonly codec: Codec<T>;
  // The value's type follows from the codec alone; enumerations would widen to `string` otherwise.
  readonly fallback: Fallback<NoInfer<T>>;
  readonly match?: MatchRule<NoInfer<T>>;
}

export interface OptionalSettingDefinition<T> extends SettingBase {
  readonly codec: Codec<T>;
  readonly fallback: Fallback<NoInfer<T> | undefined>;
  readonly match?: MatchRule<NoInfer<T> | undefined>;
}

/** One setting of the configuration language. `V` is its value's type, `undefined` included where it can be unset. */
export interface Setting<V> extends SettingBase {
  readonly codec: Codec<V>;
  readonly fallback: Fallback<V>;
  /** It may have no value: `V` includes undefined. */
  readonly optional?: true;
  // A method, so that a setting of any type is also a Setting<unknown>.
  match?(value: V, condition: TracedText, context: ParseContext): Result<boolean>;
}

export type ValueOf<S> = S extends Setting<infer V> ? V : never;

/** Declares a setting that always has a value. */
export function setting<T>(definition: SettingDefinition<T>): Setting<T> {
  return definition;
}

/** Declares a setting that may have no value. */
export function optionalSetting<T>(definition: OptionalSettingDefinition<T>): Setting<T | undefined> {
  return { ...definition, optional: true };
}

/** The same default always. */
export function constant<const T>(value: T): Fallback<T> {
  return { from: {}, make: () => value };
}

/** No value when nobody sets one. */
export const unset: Fallback<undefined> = constant(undefined);

type ValuesOf<D> = { readonly [K in keyof D]: ValueOf<D[K]> };

/** A default that follows from other settings, which are named here and nowhere else. */
export function derived<D extends Readonly<Record<string, Setting<unknown>>>, T>(
  from: D,
  make: (values: ValuesOf<D>, context: FallbackContext) => T,
): Fallback<T> {
  // The resolver hands over exactly the settings named in `from`.
  return { from, make: (values, context) => make(values as ValuesOf<D>, context) };
}

/** A default that follows from where and for what mkimg runs. */
export function fromContext<T>(make: (context: FallbackContext) => T): Fallback<T> {
  return { from: {}, make: (_values, context) => make(context) };
}
