import { describe, expect, it } from 'vitest';
import { MkimgError } from '../../../../src/base/errors.ts';
import { explainDpkgFailure } from '../../../../src/steps/apt/dpkg.ts';
import { explainUpdateFailure, missingPackages } from '../../../../src/steps/apt/faults.ts';
import { packagesToRemove } from '../../../../src/steps/remove-packages.ts';

function failed(...tail: string[]): MkimgError {
  return new MkimgError('tool-failed', 'apt-get failed', { tail, reenter: 'bwrap sh' });
}
function explained(error: unknown): MkimgError {
  if (!(error instanceof MkimgError)) throw new Error('not explained');
  return error;
}

describe('explainUpdateFailure', () => {
  // The lines are apt's own, from 2.6.1 and 3.0.3.
  it.each([
    [
      'bad-signature',
      'http://mirror.example/debian trixie',
      [
        "W: GPG error: http://mirror.example/debian trixie InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 6ED0E7B82643E131",
        "E: The repository 'http://mirror.example/debian trixie InRelease' is not signed.",
      ],
    ],
    [
      'bad-signature',
      'http://mirror.example/debian trixie',
      [
        "E: OpenPGP signature verification failed: http://mirror.example/debian trixie InRelease: Signed file isn't valid, got 'NODATA' (does the network require authentication?)",
      ],
    ],
    [
      'suite-not-found',
      'nosuch',
      ["E: The repository 'http://mirror.example/debian nosuch Release' does not have a Release file."],
    ],
    [
      'mirror-unreachable',
      'http://127.0.0.1:9/debian/dists/trixie/InRelease: Could not connect',
      [
        'E: Failed to fetch http://127.0.0.1:9/debian/dists/trixie/InRelease  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)',
        'E: Some index files failed to download. They have been ignored, or old ones used instead.',
      ],
    ],
    [
      'hash-mismatch',
      'Packages.xz',
      [
        'E: Failed to fetch http://mirror.example/debian/dists/trixie/main/binary-i386/Packages.xz  File has unexpected size (720 != 1108). Mirror sync in progress? [IP: 192.0.2.1 80]',
        '   Hashes of expected file:',
      ],
    ],
  ])('recognises %s', (code, text, tail) => {
    const error = explained(explainUpdateFailure(failed(...tail), { kind: 'flag', text: '--mirror=x' }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
    expect(error.hint).toBeDefined();
    expect(error.origin).toEqual({ kind: 'flag', text: '--mirror=x' });
  });

  it('leaves what it does not know as it is', () => {
    const error = failed('E: something else');
    expect(explainUpdateFailure(error, undefined)).toBe(error);
  });
});

describe('missingPackages', () => {
  it('finds every name, with the reason', () => {
    const lines = [
      'E: Unable to locate package nonexist1',
      "E: Version '1' for 'systemd' was not found",
      "E: Release 'bookworm' for 'udev' was not found",
      "E: Package 'mail-transport-agent' has no installation candidate",
      "E: Couldn't find any package by glob 'foo*'",
      'E: Unable to locate package nonexist1',
    ];
    expect(missingPackages(lines).map(({ name, isUnknown }) => [name, isUnknown])).toEqual([
      ['nonexist1', true],
      ['systemd', false],
      ['udev', false],
      ['mail-transport-agent', false],
      ['foo*', false],
    ]);
    expect(missingPackages(lines)[1]?.reason).toBe('there is no version 1 of it');
  });
});

describe('explainDpkgFailure', () => {
  it('names the package whose script failed', () => {
    const error = explained(
      explainDpkgFailure(
        failed(
          'boom',
          'dpkg: error processing package broken (--configure):',
          ' installed broken package post-installation script subprocess returned error exit status 3',
          'Errors were encountered while processing:',
          ' broken',
        ),
        { names: new Map(), origin: undefined },
      ),
    );
    expect(error.code).toBe('package-failed');
    expect(error.message).toContain('package broken failed');
    expect(error.message).toContain('exit status 3');
    expect(error.tail[0]).toBe('boom');
    expect(error.reenter).toBe('bwrap sh');
  });

  it('calls package files by the name of their package', () => {
    const sha = 'ab'.repeat(32);
    const error = explained(
      explainDpkgFailure(
        failed(
          `dpkg: error processing archive /run/mkimg/packages/${sha}.deb (--unpack):`,
          " trying to overwrite '/usr/bin/x', which is also in package other 1.0",
        ),
        { names: new Map([[sha, 'thing']]), origin: undefined },
      ),
    );
    expect(error.message).toContain('package thing failed (dpkg --unpack): trying to overwrite');
  });
});

describe('packagesToRemove', () => {
  const installed = [
    { name: 'vim', architecture: 'amd64' },
    { name: 'vim-common', architecture: 'all' },
    { name: 'libc6', architecture: 'amd64' },
    { name: 'libc6', architecture: 'i386' },
  ];

  it('takes names, wildcards and architectures', () => {
    expect(packagesToRemove(['vim*', 'libc6:i386'], installed)).toEqual({
      names: ['vim:amd64', 'vim-common', 'libc6:i386'],
      missing: [],
    });
  });

  it('tells what is not installed', () => {
    expect(packagesToRemove(['emacs', 'nano*', 'vim'], installed).missing).toEqual(['emacs', 'nano*']);
  });
});
