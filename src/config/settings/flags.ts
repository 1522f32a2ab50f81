/** How a setting is given on the command line. */
export interface FlagRow {
  readonly setting: string;
  readonly section: string;
  /** Long name without dashes; every setting has one. */
  readonly long: string;
  /** One letter that takes a value like the long name. */
  readonly short?: string;
  /** One letter that takes no value and stands for this text. */
  readonly shorthand?: { readonly letter: string; readonly text: string };
  /** Long names that it had in older versions of mkosi. */
  readonly oldLongs?: readonly string[];
  /** What the long flag without `=VALUE` stands for; absent: the value is required. */
  readonly bare?: string;
  readonly summary: string;
}
