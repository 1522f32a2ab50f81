import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { sha256 } from '../../../../src/base/canonical.ts';
import { parseStanzas } from '../../../../src/distro/deb822.ts';
import { isPackageFile, localIndex, localPreferences } from '../../../../src/steps/apt/local-packages.ts';
import { manifestText } from '../../../../src/steps/manifest.ts';

const control =
  'Package: thing\nVersion: 1:2\nArchitecture: all\nDepends: libc6,\n bash\nDescription: a\n b\nFilename: /evil\n';
const [stanza = new Map<string, string>()] = parseStanzas(control);
const entry = {
  ...{ path: hostPath('/srv/thing.deb'), url: 'file:/srv/thing.deb' },
  ...{ control: stanza, size: 7, sha256: sha256('thing') },
};

describe('local packages', () => {
  it('are indexed under their digest, whatever they say themselves', () => {
    const [read] = parseStanzas(localIndex([entry]));
    expect(read?.get('filename')).toBe(`./${entry.sha256}.deb`);
    expect(read?.get('sha256')).toBe(entry.sha256);
    expect(read?.get('size')).toBe('7');
    expect(read?.get('depends')).toBe('libc6,\nbash');
  });

  it('win over repositories', () => {
    expect(localPreferences([entry])).toBe('Package: thing\nPin: version 1:2\nPin-Priority: 1100\n');
  });

  it('are told from names by their form', () => {
    expect(['/srv/a.deb', './a.deb', 'a', 'a/trixie', 'a=1'].map(isPackageFile)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('manifestText', () => {
  it("has the form of mkosi's manifest, sorted", () => {
    const packages = ['b', 'a'].map((name) => ({
      name,
      version: '1',
      architecture: 'all',
      state: 'installed',
      size: 1024,
    }));
    expect(JSON.parse(manifestText({ name: 'image', release: 'trixie' }, packages))).toEqual({
      manifest_version: 1,
      config: { name: 'image', release: 'trixie' },
      packages: [
        { type: 'deb', name: 'a', version: '1', architecture: 'all', size: 1024 },
        { type: 'deb', name: 'b', version: '1', architecture: 'all', size: 1024 },
      ],
    });
  });
});
