import { ok } from '../../base/diagnostic.ts';
import { badValue, scalar } from '../codec.ts';
import { redacted } from './scalars.ts';

const protocols: readonly string[] = ['http:', 'https:', 'file:'];

/** The address of a shared cache, in the form of the URL standard; it may hold a name and password. */
export const cacheUrl = scalar<string>({
  kind: 'URL of a shared cache',
  schema: { type: 'string' },
  redact: (value) => {
    const url = new URL(value);
    if (url.password !== '') url.password = redacted;
    return url.href;
  },
  parse: (value) => {
    const url = URL.canParse(value.text) ? new URL(value.text) : undefined;
    const isUsable =
      url !== undefined && protocols.includes(url.protocol) && url.search === '' && url.hash === '';
    // The text is not said again: it may hold a password.
    return isUsable
      ? ok(url.href)
      : badValue(
          value,
          'this is not the URL of a shared cache',
          'Write https://HOST/PATH, http://HOST/PATH or file:///PATH, without ? and #.',
        );
  },
  show: (value) => value,
  json: (value) => value,
});
