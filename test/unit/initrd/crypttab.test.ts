import { describe, expect, it } from 'vitest';
import { initrdCrypttab } from '../../../src/initrd/crypttab.ts';

describe('initrdCrypttab', () => {
  it('keeps the lines that are for the initrd, as they stand', () => {
    const text = [
      '# volumes',
      'root UUID=1 none luks,x-initrd.attach',
      'data UUID=2 none luks',
      '  home\tUUID=3\t-\tx-initrd.attach,discard  ',
      '# old UUID=4 none x-initrd.attach',
      'almost UUID=5 none x-initrd.attached',
    ].join('\n');
    expect(initrdCrypttab(text).text).toBe(
      'root UUID=1 none luks,x-initrd.attach\n  home\tUUID=3\t-\tx-initrd.attach,discard\n',
    );
  });

  it('names key files and headers of those lines, and no others', () => {
    const text = [
      'a UUID=1 /etc/keys/a\\040b.key x-initrd.attach,header=/boot/a.header',
      'b UUID=2 /etc/keys/other.key luks',
    ].join('\n');
    expect(initrdCrypttab(text).files).toEqual(['/etc/keys/a b.key', '/boot/a.header']);
  });

  it.each([
    ['on another device', '/key:UUID=7'],
    ['made at run time', '/run/cryptsetup-keys.d/root.key'],
    ['a device', '/dev/urandom'],
    ['that climbs', '/etc/../../shadow'],
    ['relative', 'key'],
  ])('leaves out a key %s', (_, key) => {
    expect(initrdCrypttab(`a UUID=1 ${key} x-initrd.attach`).files).toEqual([]);
  });

  it('knows where systemd looks for a key that is not named', () => {
    const { conventional } = initrdCrypttab(
      'root UUID=1 none x-initrd.attach\n../x UUID=2 - x-initrd.attach',
    );
    expect(conventional).toEqual(['/etc/cryptsetup-keys.d/root.key']);
  });
});
