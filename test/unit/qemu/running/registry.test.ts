import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../../src/base/brand.ts';
import { hostPath } from '../../../../src/base/brand.ts';
import { currentOwner, formatOwner } from '../../../../src/base/owner.ts';
import type { TemporaryDirectory } from '../../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import {
  findMachine,
  openRegistry,
  parseRecord,
  registerMachine,
  registryPlace,
  runningMachines,
} from '../../../../src/qemu/running/registry.ts';

let directory: TemporaryDirectory;
let place: HostPath;
const image = hostPath('/out/image.raw');

beforeEach(async () => {
  directory = await temporaryDirectory('/tmp', 'mkimg-registry-test-');
  place = hostPath(join(directory.path, 'mkimg'));
});
afterEach(() => directory[Symbol.asyncDispose]());

describe('the list of running machines', () => {
  it('has a machine until its end', async () => {
    const console = hostPath('/run/x.console');
    const ssh = { kind: 'port', port: 2222, key: hostPath('/run/x.key') } as const;
    {
      await using registration = await registerMachine(place, { name: 'web', image, console, ssh });
      expect(registration.name).toBe('web');
      expect(await findMachine(place, 'web')).toEqual({
        ...{ name: 'web', image, console, ssh },
        owner: formatOwner(currentOwner()),
      });
    }
    expect(await readdir(place)).toEqual([]);
  });

  it('gives a second machine of the name a number', async () => {
    await using first = await registerMachine(place, { name: 'web', image });
    await using second = await registerMachine(place, { name: 'web', image });
    expect([first.name, second.name]).toEqual(['web', 'web-2']);
    expect((await runningMachines(place)).map(({ name }) => name)).toEqual(['web', 'web-2']);
    expect((await findMachine(place, 'web-2')).name).toBe('web-2');
  });

  it('forgets machines whose process is gone, and takes their names again', async () => {
    await openRegistry(place);
    const owner = formatOwner({ ...currentOwner(), start: '1' });
    await writeFile(join(place, 'web.json'), JSON.stringify({ name: 'web', owner, image }));
    await expect(findMachine(place, 'web')).rejects.toMatchObject({ code: 'machine-not-running' });
    await using again = await registerMachine(place, { name: 'web', image });
    expect(again.name).toBe('web');
  });

  it('names those that run when asked for another', async () => {
    await using _other = await registerMachine(place, { name: 'other', image });
    await expect(findMachine(place, 'web')).rejects.toMatchObject({
      hint: expect.stringContaining('--machine=: other') as string,
    });
  });

  it.each([undefined, '', '[]', '{', '{"name":"x"}', '{"name":"x","owner":"1","image":"relative"}'])(
    'takes nothing from %j',
    (text) => {
      expect(parseRecord(text)).toBeUndefined();
    },
  );

  it('leaves out what a record has in a form that is not known', () => {
    const ssh = { kind: 'telepathy', key: '/k' };
    const text = JSON.stringify({ name: 'x', owner: '1', image: '/i', console: 7, ssh });
    expect(parseRecord(text)).toEqual({ name: 'x', owner: '1', image: '/i' });
  });
});

describe('its place', () => {
  it('is of the session, else of the user', () => {
    expect(registryPlace({ XDG_RUNTIME_DIR: '/run/user/7' }, 7)).toBe('/run/user/7/mkimg');
    expect(registryPlace({ XDG_RUNTIME_DIR: 'relative' }, 7)).toBe('/tmp/mkimg-7');
    expect(registryPlace({}, 0)).toBe('/run/mkimg');
  });

  it('belongs to this user alone', async () => {
    await openRegistry(place);
    await openRegistry(place);
    await chmod(place, 0o755);
    await expect(openRegistry(place)).rejects.toMatchObject({ code: 'runtime-directory' });
  });

  it('is no link to somewhere else', async () => {
    await mkdir(join(directory.path, 'elsewhere'), { mode: 0o700 });
    await symlink('elsewhere', place);
    await expect(openRegistry(place)).rejects.toMatchObject({ code: 'runtime-directory' });
  });
});
