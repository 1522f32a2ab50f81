import { describe, expect, it } from 'vitest';
import {
  isAccountField,
  withPasswordHash,
  withShadowedPassword,
  withShell,
} from '../../../src/steps/accounts.ts';

const shadow = 'root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n';
const passwd = 'root:*:0:0:root:/root:/bin/bash\nrooted:x:1:1::/:/bin/sh\n';

describe('withPasswordHash', () => {
  it('changes the hash of one user and nothing else', () => {
    expect(withPasswordHash(shadow, 'root', '$6$a$b')).toBe(
      'root:$6$a$b:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n',
    );
  });

  it('adds a user without a line', () => {
    expect(withPasswordHash('daemon:*::::::', 'root', 'h')).toBe('daemon:*::::::\nroot:h:::::::\n');
    expect(withPasswordHash('', 'root', '')).toBe('root::::::::\n');
  });
});

describe('passwd', () => {
  it('sends readers to shadow', () => {
    expect(withShadowedPassword(passwd, 'root')).toBe(
      'root:x:0:0:root:/root:/bin/bash\nrooted:x:1:1::/:/bin/sh\n',
    );
  });

  it('changes a shell, and leaves a user alone who is not there', () => {
    expect(withShell(passwd, 'root', '/bin/zsh')).toBe(
      'root:*:0:0:root:/root:/bin/zsh\nrooted:x:1:1::/:/bin/sh\n',
    );
    expect(withShell(passwd, 'nobody', '/bin/zsh')).toBe(passwd);
  });

  it('knows what would break a line', () => {
    expect(['/bin/sh', '', '$6$x$y/.'].every(isAccountField)).toBe(true);
    expect(['a:b', 'a\nb', 'a\rb', 'a\0b'].some(isAccountField)).toBe(false);
  });
});
