import { describe, expect, it } from 'vitest';
import { alternativesOf, chosenAlternatives, isDeclarative } from '../../../src/distro/maintainer-scripts.ts';

const section = (helper: string, text: string): string =>
  `# Automatically added by ${helper}/13.24.2\n${text}\n# End automatically added section\n`;

const enable = section(
  'dh_installsystemd',
  'if deb-systemd-helper --quiet was-enabled x.service; then\n\tdeb-systemd-helper enable x.service\nfi',
);

describe('isDeclarative', () => {
  it.each([
    [
      'sections alone',
      `#!/bin/sh\nset -e\n${enable}${section('dh_installtmpfiles', 'systemd-tmpfiles --create x')}`,
    ],
    [
      'sections in the frame of a script',
      `#!/bin/sh -e\n# comment\n\ncase "$1" in\n    configure)\n    ;;\n    abort-upgrade|abort-remove|abort-deconfigure)\n    ;;\n    *)\n        echo "postinst called with unknown argument \\\`$1'" >&2\n        exit 1\n    ;;\nesac\n\n${enable}\nexit 0\n`,
    ],
    ['a condition around them', `#!/bin/sh\nif [ "$1" = "configure" ]; then\n${enable}fi\n`],
  ])('is true for %s', (_, script) => {
    expect(isDeclarative(script)).toBe(true);
  });
  it.each([
    ['a command of its own', `#!/bin/sh\nset -e\nadduser --system x\n${enable}`],
    ['a section that does more', `#!/bin/sh\n${section('dh_python3', 'py3compile -p x')}`],
    ['a command behind a section', `#!/bin/sh\n${enable}\nln -s a b\n`],
    ['a pattern with a command', `#!/bin/sh\ncase "$1" in\nconfigure) rm x ;;\nesac\n`],
  ])('is false for %s', (_, script) => {
    expect(isDeclarative(script)).toBe(false);
  });
});

describe('alternativesOf', () => {
  it('reads calls over several lines, with their slaves', () => {
    const script = `#!/bin/sh
update-alternatives --install /usr/bin/pager pager /bin/more 50 \\
	--slave /usr/share/man/man1/pager.1.gz pager.1.gz \\
	/usr/share/man/man1/more.1.gz
	update-alternatives --quiet --install /usr/bin/which which /usr/bin/which.debianutils 0
update-alternatives --remove pager /bin/most
`;
    expect(alternativesOf(script)).toEqual([
      {
        ...{ link: 'usr/bin/pager', name: 'pager', path: 'bin/more', priority: 50 },
        slaves: [
          {
            ...{ link: 'usr/share/man/man1/pager.1.gz', name: 'pager.1.gz' },
            path: 'usr/share/man/man1/more.1.gz',
          },
        ],
      },
      { link: 'usr/bin/which', name: 'which', path: 'usr/bin/which.debianutils', priority: 0, slaves: [] },
    ]);
  });
});

describe('chosenAlternatives', () => {
  it('takes the highest priority, and the first of equal ones', () => {
    const one = (path: string, priority: number) => ({
      ...{ link: 'usr/bin/awk', name: 'awk', path, priority, slaves: [] },
    });
    expect(chosenAlternatives([one('a', 5), one('b', 10), one('c', 10)])).toEqual([one('b', 10)]);
  });
});
