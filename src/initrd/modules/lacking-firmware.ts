import { byBytes } from '../../base/canonical.ts';
import type { ModuleSelection } from './select.ts';

/** A driver of this machine and the firmware that it asks for. */
export interface LackingDriver {
  readonly module: string;
  readonly firmware: readonly string[];
}

/**
 * Drivers of devices that the machine has, of whose firmware nothing is there. Most drivers name firmware for hardware of all
 * ages; only one that finds none of it is likely to fail.
 */
export function driversWithoutFirmware({
  modules,
  firmware,
  missingFirmware,
}: Pick<ModuleSelection, 'modules' | 'firmware' | 'missingFirmware'>): readonly LackingDriver[] {
  const served = new Set(firmware.flatMap(({ requestedBy }) => requestedBy));
  return modules
    .filter(({ reasons }) => reasons.some(({ kind }) => kind === 'modalias' || kind === 'driver'))
    .map(({ module: { name } }) => name)
    .filter((name) => !served.has(name))
    .map((module) => {
      const lacking = missingFirmware.filter(({ requestedBy }) => requestedBy.includes(module));
      return { module, firmware: lacking.map(({ name }) => name) };
    })
    .filter((driver) => driver.firmware.length > 0)
    .sort((left, right) => byBytes(left.module, right.module));
}
