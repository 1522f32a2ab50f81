import { describe, expect, it } from 'vitest';
import { systemdVersion } from '../../../src/qemu/systemd-version.ts';

const manifest = (...packages: readonly unknown[]): string =>
  JSON.stringify({ manifest_version: 1, packages });

describe('systemdVersion', () => {
  it.each([
    ['257.8-1~deb13u2', 257],
    ['252.38-1~deb12u1', 252],
    ['1:258~rc1-1', 258],
    ['256', 256],
  ])('%s is %d', (version, major) => {
    expect(systemdVersion(manifest({ name: 'apt', version: '3.0' }, { name: 'systemd', version }))).toBe(
      major,
    );
  });

  it('is 0 in an image without systemd', () => {
    expect(systemdVersion(manifest({ name: 'openrc', version: '0.56' }))).toBe(0);
    expect(systemdVersion(manifest({ name: 'systemd-boot', version: '257' }))).toBe(0);
  });

  it.each(['', '{', 'null', '[]', '{"packages":1}', manifest()])('is unknown from %j', (text) => {
    expect(systemdVersion(text)).toBeUndefined();
  });
});
