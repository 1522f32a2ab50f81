import { describe, expect, it } from 'vitest';
import { treePath } from '../../../src/base/brand.ts';
import { autologinDropIn, autologinGettys } from '../../../src/steps/autologin.ts';
import { firstbootCredentials, passwordHashArgv, passwordSalt } from '../../../src/steps/firstboot.ts';
import { helperPrograms } from '../../../src/steps/script-helpers.ts';
import { tmpfilesArgv } from '../../../src/steps/tmpfiles.ts';
import { traces } from '../../../src/steps/traces.ts';

describe('autologin', () => {
  it('knows the consoles of an architecture, each once', () => {
    expect(autologinGettys('x86-64').map(({ unit }) => unit)).toEqual([
      'console-getty.service',
      'getty@tty1.service',
      'serial-getty@ttyS0.service',
      'serial-getty@hvc0.service',
    ]);
    expect(autologinGettys('ppc64-le').map(({ unit }) => unit)).toEqual([
      'console-getty.service',
      'getty@tty1.service',
      'serial-getty@hvc0.service',
    ]);
  });

  it('clears the command before it sets its own', () => {
    expect(autologinDropIn('--noclear -')).toContain(
      "ExecStart=\nExecStart=-/sbin/agetty -o '-f -p -- \\\\u' --autologin root --noclear - $TERM\n",
    );
  });
});

describe('tmpfiles', () => {
  it('leaves /var to the first boot where owners cannot be set', () => {
    expect(tmpfilesArgv('subids')).not.toContain('--exclude-prefix=/var');
    expect(tmpfilesArgv('single-id')).toContain('--exclude-prefix=/var');
    expect(tmpfilesArgv('single-id', true)).toEqual(tmpfilesArgv('subids', true));
  });
});

describe('firstboot', () => {
  const settings = { locale: 'C.UTF-8', timezone: 'UTC', hostname: 'box', rootShell: '/bin/sh' };

  it('keeps secrets unreadable and the host name out of the credentials', () => {
    expect(firstbootCredentials(settings, '$6$x$y')).toEqual([
      { name: 'firstboot.locale', value: 'C.UTF-8', isSecret: false },
      { name: 'firstboot.timezone', value: 'UTC', isSecret: false },
      { name: 'passwd.shell.root', value: '/bin/sh', isSecret: false },
      { name: 'passwd.hashed-password.root', value: '$6$x$y', isSecret: true },
    ]);
  });

  it('salts by image, with crypt characters only, and never puts a password on a command line', () => {
    const salt = passwordSalt('ID=debian\nIMAGE_ID=a\n');
    expect(salt).toMatch(/^[0-9a-f]{16}$/);
    expect(passwordSalt('ID=debian\nIMAGE_ID=b\n')).not.toBe(salt);
    expect(passwordHashArgv(salt)).toEqual(['passwd', '-6', '-salt', salt, '-stdin']);
  });
});

describe('helperPrograms', () => {
  it('shows the image the network only when there is one', () => {
    const resolvConf = treePath("run/it's/resolv.conf");
    const without = helperPrograms({ network: false, resolvConf });
    const network = helperPrograms({ network: true, resolvConf });
    expect(without['mkosi-chroot']).not.toContain('resolv');
    expect(network['mkosi-chroot']).toContain(`resolv="$root"/'run/it'\\''s/resolv.conf'`);
    expect(network['mkimg-chroot']).toBe(network['mkosi-chroot']);
  });
});

describe('traces', () => {
  it('stay inside the tree and say why', () => {
    for (const { paths, except = [], reason } of traces) {
      for (const path of [...paths, ...except]) expect(treePath(path)).toBe(path);
      expect(reason.length).toBeGreaterThan(5);
    }
  });

  it('name each path once', () => {
    const all = traces.filter(({ action }) => action !== 'truncate').flatMap(({ paths }) => paths);
    expect(new Set(all).size).toBe(all.length);
  });
});
