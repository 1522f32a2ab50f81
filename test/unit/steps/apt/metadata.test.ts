import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { sha256 } from '../../../../src/base/canonical.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import type { MetadataState } from '../../../../src/steps/apt/metadata.ts';
import {
  isExpired,
  isFresh,
  readMetadataState,
  releaseFileName,
  releaseValidUntil,
  usableState,
} from '../../../../src/steps/apt/metadata.ts';
import { openRepositorySet, repositorySetDigest } from '../../../../src/steps/apt/repository-set.ts';

const now = Date.UTC(2026, 10, 20);
const hour = 3_600_000;

function state(more: Partial<MetadataState> = {}): MetadataState {
  return { id: sha256('x'), checked: now, generation: 'indexes-00', validUntil: undefined, ...more };
}

describe('isFresh', () => {
  it('goes by age, or by what this run has fetched itself', () => {
    const old = state({ checked: now - 2 * hour });
    expect(isFresh(old, { refresh: 'never', maxAge: 0 }, now)).toBe(true);
    expect(isFresh(old, { refresh: 'aged', maxAge: 3 * hour }, now)).toBe(true);
    expect(isFresh(old, { refresh: 'aged', maxAge: hour }, now)).toBe(false);
    expect(isFresh(old, { refresh: 'always', maxAge: 0 }, now)).toBe(false);
    expect(isFresh(state(), { refresh: 'always', maxAge: 0 }, now)).toBe(true);
  });
});

describe('Valid-Until', () => {
  it('is compared with the time of the fetch', () => {
    expect(isExpired(state())).toBe(false);
    expect(isExpired(state({ validUntil: { file: 'f', time: now + hour } }))).toBe(false);
    expect(isExpired(state({ validUntil: { file: 'f', time: now - hour } }))).toBe(true);
  });

  it('is read from a signed release file', () => {
    const text = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: Debian
Suite: testing
Date: Fri, 30 Oct 2026 08:08:01 UTC
Valid-Until: Fri, 06 Nov 2026 08:08:01 UTC
SHA256:
 0000 1 main/binary-amd64/Packages
`;
    expect(releaseValidUntil(text)).toBe(Date.UTC(2026, 10, 6, 8, 8, 1));
    expect(releaseValidUntil('Suite: stable\n')).toBeUndefined();
    expect(releaseValidUntil('Valid-Until: never\n')).toBeUndefined();
  });

  it('names the file as an address', () => {
    expect(releaseFileName('mirror.example_a%5fb_dists_sid_InRelease')).toBe(
      'mirror.example/a_b/dists/sid/InRelease',
    );
  });
});

describe('readMetadataState', () => {
  it('knows only what is whole', async () => {
    await using directory = await temporaryDirectory('/tmp', 'mkimg-metadata-');
    const path = join(directory.path, 'state.json');
    expect(await readMetadataState(directory.path)).toBeUndefined();
    await writeFile(path, JSON.stringify(state()));
    expect(await readMetadataState(directory.path)).toBeUndefined();
    await mkdir(join(directory.path, 'indexes-00/lists'), { recursive: true });
    expect(await readMetadataState(directory.path)).toEqual(state());
    await writeFile(path, JSON.stringify(state({ generation: '../../etc' })));
    expect(await readMetadataState(directory.path)).toBeUndefined();
    await writeFile(path, '{');
    expect(await readMetadataState(directory.path)).toBeUndefined();
  });

  it('gives a state to keys only if no run has to ask or refuse', async () => {
    await using directory = await temporaryDirectory('/tmp', 'mkimg-metadata-');
    await mkdir(join(directory.path, 'indexes-00/lists'), { recursive: true });
    const expired = state({ validUntil: { file: 'f', time: now - hour } });
    await writeFile(join(directory.path, 'state.json'), JSON.stringify(expired));
    const never = { refresh: 'never', maxAge: 0 } as const;
    expect(await usableState(directory.path, never, true)).toBe(expired.id);
    expect(await usableState(directory.path, never, false)).toBeUndefined();
    expect(await usableState(directory.path, { refresh: 'aged', maxAge: 0 }, true)).toBeUndefined();
  });
});

describe('repositorySetDigest', () => {
  it('changes with what apt fetches and trusts, not with what is accepted', async () => {
    await using directory = await temporaryDirectory('/tmp', 'mkimg-set-');
    const keyring = hostPath(join(directory.path, 'key.gpg'));
    const tree = hostPath(join(directory.path, 'tree'));
    await mkdir(join(tree, 'etc/apt/preferences.d'), { recursive: true });
    await writeFile(keyring, 'one');
    const set = (checkValidUntil: boolean, suite = 'trixie') =>
      openRepositorySet({
        kind: 'apt',
        repositories: [
          { uris: ['http://m.example'], suites: [suite], components: ['main'], signedBy: { $host: keyring } },
        ],
        checkSignatures: true,
        checkValidUntil,
        sandboxTrees: [{ $host: tree }],
      });
    const digest = (given = set(true), architectures = ['amd64']) =>
      repositorySetDigest({ set: given, architectures });
    const first = await digest();
    expect(await digest(set(false))).toBe(first);
    expect(await digest(set(true, 'sid'))).not.toBe(first);
    expect(await digest(set(true), ['arm64'])).not.toBe(first);
    await writeFile(join(tree, 'etc/apt/preferences.d/x'), 'Package: *\n');
    const second = await digest();
    expect(second).not.toBe(first);
    await writeFile(keyring, 'two');
    expect(await digest()).not.toBe(second);
  });
});
