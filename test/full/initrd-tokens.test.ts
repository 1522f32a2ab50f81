import { expect, it } from 'vitest';
import { DebianSystem } from '../helpers/debian-system.ts';
import { ofSystem } from '../helpers/guest-images.ts';
import { bootSuite } from '../helpers/initrd-boot-suite.ts';

const suite = bootSuite();

// QEMU as Debian builds it emulates no security key.
it('an initrd has what asks security keys', async () => {
  const initrd = ofSystem(['--generic', '--profile=fido2', '--format=directory']);
  const { initrd: tree } = await initrd(suite.site().images);
  const system = new DebianSystem(tree);
  expect(await system.succeed('systemd-cryptenroll --fido2-device=list')).toMatch(/No FIDO2 devices found/);
  // That is the library's answer.
  const without = 'rm /usr/lib/*/libfido2.so*; systemd-cryptenroll --fido2-device=list';
  const { code, output } = await system.run(without);
  expect(code, output).not.toBe(0);
  const rules = 'usr/lib/udev/rules.d/60-fido-id.rules usr/lib/udev/fido_id';
  await system.succeed(`cd /; ls ${rules} usr/lib/*/cryptsetup/libcryptsetup-token-systemd-fido2.so`);
});
