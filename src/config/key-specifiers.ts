import type { ResolvedImage } from './resolved-image.ts';

/**
 * Replaces `&x` in BuildKey= or CacheKey=: `&d` the distribution, `&r` the release, `&a` the architecture, `&i` ImageId=,
 * `&v` ImageVersion=, `&I` the image, `&&` an ampersand. Other letters stand for nothing.
 */
export function expandKey({ name, config }: Pick<ResolvedImage, 'name' | 'config'>, key: string): string {
  const meanings: Readonly<Record<string, string | undefined>> = {
    '&': '&',
    d: config.Distribution,
    r: config.Release,
    a: config.Architecture,
    i: config.ImageId,
    v: config.ImageVersion,
    I: name,
  };
  return key.replace(/&([&a-zA-Z])/g, (_whole, letter: string) => meanings[letter] ?? '');
}
