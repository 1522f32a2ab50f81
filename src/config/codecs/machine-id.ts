import type { Codec } from '../codec.ts';
import { uuidOr } from './scalars.ts';

const id = uuidOr(['random', 'uninitialized']);

/** Content of /etc/machine-id. In JSON, mkosi has no word for an id that the first boot makes: it is null there. */
export const machineId: Codec<string, string> = {
  ...id,
  schema: { type: ['string', 'null'] },
  json: (value) => (value === 'uninitialized' ? null : value),
};
