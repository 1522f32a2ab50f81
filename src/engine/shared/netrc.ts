import { homedir } from 'node:os';
import { join } from 'node:path';
import { isErrno } from '../../base/errors.ts';
import { readTextIfExists } from '../../base/files.ts';
import type { Environment } from '../../steps/apt/http.ts';

export interface Credentials {
  readonly login: string;
  readonly password: string;
}

/** What $NETRC, or ~/.netrc, has for a host. */
export async function netrcCredentials(
  host: string,
  environment: Environment,
): Promise<Credentials | undefined> {
  const path = environment['NETRC'] ?? join(environment['HOME'] ?? homedir(), '.netrc');
  try {
    return parseNetrc((await readTextIfExists(path)) ?? '', host);
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EISDIR')) return undefined;
    throw error;
  }
}

/**
 * The entry of a file in the format of netrc(5) for a host: words `machine NAME login NAME password WORD`, else `default`.
 * Macros (`macdef` to the next empty line) are left out.
 */
export function parseNetrc(text: string, host: string): Credentials | undefined {
  const words = text
    .replace(/(^|\n)macdef[^]*?(\n\n|$)/g, '$1')
    .replace(/(^|\s)#.*/g, '$1')
    .split(/\s+/);
  const begins = words.flatMap((word, index) => (word === 'machine' || word === 'default' ? [index] : []));
  for (const [index, begin] of begins.entries()) {
    const entry = words.slice(begin, begins[index + 1]);
    if (entry[0] === 'machine' && entry[1] !== host) continue;
    const login = wordAfter('login', entry);
    return login === undefined ? undefined : { login, password: wordAfter('password', entry) ?? '' };
  }
  return undefined;
}

function wordAfter(name: string, words: readonly string[]): string | undefined {
  const index = words.indexOf(name);
  return index === -1 ? undefined : words[index + 1];
}
