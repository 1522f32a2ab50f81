import type { FlagRow } from './flags.ts';

/** Flags of all settings, in the order of the table. */
export const flagRows: readonly FlagRow[] = [];
