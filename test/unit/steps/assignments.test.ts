import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withAssignments } from '../../../src/steps/assignments.ts';

const debian = 'PRETTY_NAME="Debian GNU/Linux 13"\n# a comment\n\nID=debian\n';

describe('withAssignments', () => {
  it('adds at the end what is missing', () => {
    expect(withAssignments(debian, { IMAGE_ID: 'web', DEFAULT_HOSTNAME: 'box' })).toBe(
      `${debian}IMAGE_ID="web"\nDEFAULT_HOSTNAME="box"\n`,
    );
  });

  it('replaces where it stands, and drops a second assignment', () => {
    expect(withAssignments('IMAGE_ID=old\nID=debian\nIMAGE_ID=older', { IMAGE_ID: 'new' })).toBe(
      'IMAGE_ID="new"\nID=debian\n',
    );
  });

  it('does not take a longer name for the one it looks for', () => {
    expect(withAssignments('MY_IMAGE_ID=a\nIMAGE_ID_LIKE=b\n', { IMAGE_ID: 'c' })).toBe(
      'MY_IMAGE_ID=a\nIMAGE_ID_LIKE=b\nIMAGE_ID="c"\n',
    );
  });

  it('escapes what a shell would expand', () => {
    expect(withAssignments('', { IMAGE_VERSION: 'a"b$c`d\\e' })).toBe('IMAGE_VERSION="a\\"b\\$c\\`d\\\\e"\n');
  });

  it('without additions changes nothing but a missing last newline', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[ -~]*$/)), (lines) => {
        const text = lines.map((line) => `${line}\n`).join('');
        expect(withAssignments(text, {})).toBe(text);
      }),
    );
  });

  it('is done after one pass', () => {
    const name = fc.stringMatching(/^[ -~]+$/);
    fc.assert(
      fc.property(name, name, (id, version) => {
        const once = withAssignments(debian, { IMAGE_ID: id, IMAGE_VERSION: version });
        expect(withAssignments(once, { IMAGE_ID: id, IMAGE_VERSION: version })).toBe(once);
      }),
    );
  });
});
