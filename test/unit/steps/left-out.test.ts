import { describe, expect, it } from 'vitest';
import { leftOutEarly } from '../../../src/steps/left-out.ts';

describe('leftOutEarly', () => {
  const isLeftOut = leftOutEarly([
    ...[
      '/usr/share/locale',
      '/usr/share/debianutils',
      '/usr/lib/*-linux-gnu/gconv',
      '/usr/lib/systemd/systemd-user*',
    ],
    ...['/usr/bin/perl*', '/usr/sbin/ldconfig', '/var/cache/*', '/usr/share/**/x', '/usr/lib/[ab]'],
  ]);
  it.each([
    'usr/share/locale',
    'usr/share/locale/de/LC_MESSAGES/tar.mo',
    'usr/lib/x86_64-linux-gnu/gconv',
    'usr/lib/x86_64-linux-gnu/gconv/UTF-7.so',
    'usr/lib/systemd/systemd-user-sessions',
  ])('leaves out %s', (place) => {
    expect(isLeftOut(place)).toBe(true);
  });
  it.each([
    'usr/share',
    'usr/share/locales',
    'usr/lib/x86_64-linux-gnu/gconv2',
    'usr/share/debianutils/shells',
    'usr/bin/perl',
    'usr/sbin/ldconfig',
    'var/cache/x',
    'usr/share/a/x',
    'usr/lib/a',
  ])('leaves %s for later, or for good', (place) => {
    expect(isLeftOut(place)).toBe(false);
  });
  it('leaves nothing out without patterns', () => {
    expect(leftOutEarly([])('usr/share/locale')).toBe(false);
  });
});
