import { describe, expect, it } from 'vitest';
import type { PrivilegeFacts } from '../../../src/sandbox/namespace.ts';
import { choosePrivileges, currentMode, namespaceArgv } from '../../../src/sandbox/namespace.ts';

const allIds = '         0          0 4294967295\n';
const user: PrivilegeFacts = {
  uid: 1001,
  userName: 'builder',
  capabilities: 0n,
  uidMap: allIds,
  subuid: 'other:100000:65536\nbuilder:165536:65536\n',
  subgid: 'builder:165536:65536\n',
  hasMappers: true,
};
const administrator: PrivilegeFacts = { ...user, uid: 0, userName: 'root', capabilities: 0x1fffeffffffn };

describe('choosePrivileges', () => {
  it('takes root for what it is', () => {
    expect(choosePrivileges(administrator)).toEqual({ mode: 'root' });
  });

  it('tells root of a namespace with one id from root', () => {
    const inside = choosePrivileges({ ...administrator, uidMap: '         0       1001          1\n' });
    expect(inside.mode).toBe('single-id');
    const uidMap = '         0       1001          1\n         1     100000      65535\n';
    expect(choosePrivileges({ ...administrator, uidMap }).mode).toBe('root');
  });

  it('gives root without CAP_SYS_ADMIN, as in a container, what a user gets', () => {
    expect(choosePrivileges({ ...administrator, capabilities: 0xa80425fbn }).mode).toBe('single-id');
    const ranges = { subuid: 'root:100000:65536', subgid: 'root:100000:65536' };
    expect(choosePrivileges({ ...administrator, capabilities: 0xa80425fbn, ...ranges }).mode).toBe('subids');
  });

  it('takes ranges by name and by number', () => {
    expect(choosePrivileges(user)).toEqual({ mode: 'subids' });
    expect(choosePrivileges({ ...user, subuid: '1001:100000:65536' }).mode).toBe('subids');
  });

  it('names what is missing for subordinate ids', () => {
    expect(choosePrivileges({ ...user, hasMappers: false }).reason).toContain('apt install uidmap');
    expect(choosePrivileges({ ...user, subgid: '' }).reason).toContain('/etc/subgid');
    const short = choosePrivileges({ ...user, subuid: 'builder:100000:1000' });
    expect(short).toMatchObject({ mode: 'single-id' });
    expect(short.reason).toContain('usermod --add-subuids');
  });
});

describe('namespaceArgv', () => {
  it('makes a user namespace for ordinary users only', () => {
    const mount = ['--mount', '--propagation', 'slave', '--'];
    expect(namespaceArgv('root')).toEqual(['unshare', ...mount]);
    expect(namespaceArgv('subids')).toEqual(['unshare', '--user', '--map-auto', '--map-root-user', ...mount]);
    expect(namespaceArgv('single-id')).toEqual(['unshare', '--user', '--map-root-user', ...mount]);
  });
});

describe('currentMode', () => {
  it('reads the mark of the inner process and nothing else', () => {
    expect(currentMode({ MKIMG_NAMESPACE: 'subids' })).toBe('subids');
    expect(currentMode({ MKIMG_NAMESPACE: 'nonsense' })).toBeUndefined();
    expect(currentMode({})).toBeUndefined();
  });
});
