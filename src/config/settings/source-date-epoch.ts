import { derived } from '../setting.ts';
import { Environment } from './build.ts';

/** SOURCE_DATE_EPOCH of Environment=, else of the process that called mkimg; anything but a number does not count. */
export const sourceDateEpoch = derived({ Environment }, (values, { environment }) => {
  const text = values.Environment['SOURCE_DATE_EPOCH'] ?? environment['SOURCE_DATE_EPOCH'] ?? '';
  return /^\d+$/.test(text) ? Number(text) : undefined;
});
