import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostPath, treePath } from '../../../src/base/brand.ts';
import type { Codec, ParseContext } from '../../../src/config/codec.ts';
import * as collections from '../../../src/config/codecs/collections.ts';
import { machineId } from '../../../src/config/codecs/machine-id.ts';
import { credentials, drives, vsockCid } from '../../../src/config/codecs/machine.ts';
import { portForwards } from '../../../src/config/codecs/ports.ts';
import { minimumVersion } from '../../../src/config/codecs/minimum-version.ts';
import { absolutePath, imagePath, path, pathOr } from '../../../src/config/codecs/paths.ts';
import * as scalars from '../../../src/config/codecs/scalars.ts';
import * as secrets from '../../../src/config/codecs/secrets.ts';
import { splitArtifacts } from '../../../src/config/codecs/split-artifacts.ts';
import { ukiProfiles } from '../../../src/config/codecs/uki-profiles.ts';
import { quoteWord, splitWords } from '../../../src/config/codecs/words.ts';
import { tracedWhole } from '../../../src/config/traced-text.ts';
import { memoryFiles } from '../../helpers/memory-files.ts';

const context: ParseContext = {
  directory: hostPath('/project'),
  files: memoryFiles({
    'a.sh': '#!',
    'b.sh': '#!',
    'c.txt': '',
    'dir/x.sh': '#!',
    'creds/one': '1',
    'creds/two': '2',
    'my dir/one': '1',
    'rescue.conf':
      '[UKIProfile]\nProfile=ID=rescue\n  TITLE=Save me = now\nCmdline=a "b c"\nCmdline=d\nSignExpectedPcr=no\n',
    'plain.conf': '[UKIProfile]\nProfile=ID=plain\n',
    'odd.conf': '[UKIProfile]\nCmdLine=x\n[Other]\nSignExpectedPcr=maybe\nProfile=ID\n',
    'empty.conf': '',
  }),
  environment: { HOME: '/home/user', ROOM: '/room' },
};

function traced(text: string): ReturnType<typeof tracedWhole> {
  return tracedWhole(text, { kind: 'default' });
}

function parse<T>(codec: Codec<T>, text: string): T {
  const parsed = codec.parse(traced(text), context);
  if (!parsed.ok) throw new Error(parsed.diagnostics.map(({ message }) => message).join());
  return codec.collect(parsed.value.map(({ value }) => value));
}

function faults(codec: Codec<unknown>, text: string): readonly string[] {
  const parsed = codec.parse(traced(text), context);
  return parsed.ok ? [] : parsed.diagnostics.map(({ message }) => message);
}

/** parse(show(x)) = x, for every value but empty text, which is no value in this language. */
function roundTrips<T>(codec: Codec<T>, values: fc.Arbitrary<T>): void {
  fc.assert(
    fc.property(values, (value) => {
      const text = codec.show(value);
      expect(text === '' ? codec.collect([]) : parse(codec, text)).toEqual(value);
    }),
  );
}

const word = fc.string({
  unit: fc.constantFrom('a', 'Z', '0', '-', '.', '_', '+', '*'),
  minLength: 1,
  maxLength: 8,
});
const anyText = fc.string({ minLength: 1, maxLength: 12 });
const absolute = fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => `/x/${parts.join('/')}`);
const hostPaths = absolute.filter((name) => !/\/\.\.?(\/|$)/.test(name)).map(hostPath);
const name = fc.string({ unit: fc.constantFrom('A', 'b', '_', '1'), minLength: 1, maxLength: 5 });

describe('showing a value and reading it again gives the same value', () => {
  it('for scalars', () => {
    roundTrips(scalars.text, anyText);
    roundTrips(
      scalars.fileName,
      word.filter((text) => text !== '.' && text !== '..'),
    );
    roundTrips(scalars.boolean, fc.boolean());
    roundTrips(scalars.feature, fc.constantFrom(true, false, 'auto'));
    roundTrips(scalars.enumeration(['one', 'two']), fc.constantFrom('one', 'two'));
    roundTrips(scalars.integer({ minimum: -9 }), fc.integer({ min: -9 }));
    roundTrips(scalars.sectorSize, fc.constantFrom(512, 1024, 2048, 4096));
    roundTrips(scalars.octalMode, fc.integer({ min: 0, max: 0o1777 }));
    roundTrips(
      scalars.size,
      fc.integer({ min: 1, max: 2 ** 38 }).map((pages) => pages * 4096),
    );
    roundTrips(scalars.uuidOr(['random']), fc.oneof(fc.uuid(), fc.constant('random')));
    roundTrips(
      scalars.password,
      fc.record({ hashed: fc.boolean(), value: anyText.filter((text) => !text.startsWith('hashed:')) }),
    );
  });

  it('for paths', () => {
    roundTrips(path(), hostPaths);
    roundTrips(pathOr({ default: 'default' }), fc.oneof(hostPaths, fc.constant('default' as const)));
    roundTrips(collections.pathList(path()), fc.array(hostPaths));
    roundTrips(
      collections.trees({ absolute: true }),
      fc
        .array(
          fc.record({
            source: hostPaths,
            target: fc.oneof(fc.constant(''), word).map((text) => text.replace(/^\.+/, 'x')),
          }),
        )
        .map((items) =>
          items.map(({ source, target }) => ({
            source,
            target: treePath(target),
            ...(target === '' && source.length % 2 === 0 && ({ rooted: true } as const)),
          })),
        ),
    );
  });

  it('for collections', () => {
    roundTrips(collections.list, fc.array(anyText));
    roundTrips(collections.names, fc.array(anyText));
    roundTrips(collections.profileNames, fc.array(word.filter((text) => !/^\.\.?$/.test(text))));
    roundTrips(collections.moduleExpressions, fc.array(anyText));
    roundTrips(collections.spaceList, fc.array(anyText));
    roundTrips(collections.kernelArguments, fc.array(fc.constantFrom('a=b,c', 'x="y z"', '"q r"', "don't")));
    roundTrips(collections.pairs, fc.dictionary(name, fc.string(), { noNullPrototype: true }));
    roundTrips(collections.packages, fc.array(anyText));
    roundTrips(collections.spaceList, fc.array(word.map((text) => `${text},=`)));
    roundTrips(collections.quotedList, fc.array(anyText));
    roundTrips(splitArtifacts, fc.uniqueArray(fc.constantFrom('uki', 'kernel', 'initrd')));
    roundTrips(collections.environment, fc.dictionary(name, fc.string(), { noNullPrototype: true }));
  });

  it('for keys, versions and ids', () => {
    roundTrips(secrets.privateKey, fc.oneof(hostPaths, fc.constant('pkcs11:object=x;type=private')));
    roundTrips(secrets.certificate, fc.oneof(hostPaths, fc.constant('pkcs11:object=x')));
    const types = fc.constantFrom('file', 'engine', 'provider');
    roundTrips(secrets.keySource, fc.record({ type: types, source: fc.string() }));
    const fewer = fc.constantFrom('file', 'provider');
    roundTrips(secrets.certificateSource, fc.record({ type: fewer, source: fc.string() }));
    roundTrips(secrets.url, anyText);
    roundTrips(minimumVersion, fc.constantFrom('25', '26.1', '27~devel', 'commit:abc', undefined));
    roundTrips(machineId, fc.oneof(fc.uuid(), fc.constantFrom('random', 'uninitialized')));
    roundTrips(
      imagePath,
      absolute.filter((text) => !/\/\.\.?(\/|$)/.test(text)),
    );
    roundTrips(vsockCid, fc.oneof(fc.integer({ min: 3, max: 2 ** 32 - 2 }), fc.constantFrom('auto', 'hash')));
    roundTrips(ukiProfiles, fc.constantFrom([], parse(ukiProfiles, 'rescue.conf plain.conf')));
  });

  it('for what describes a virtual machine', () => {
    roundTrips(credentials, fc.array(fc.record({ name, value: fc.string() })));
    const port = fc.integer({ min: 1, max: 65_535 });
    roundTrips(
      portForwards,
      fc.array(fc.record({ protocol: fc.constantFrom('tcp', 'udp'), host: port, guest: port })),
    );
    roundTrips(
      drives,
      fc.array(
        fc.record({
          id: name,
          size: fc.integer({ min: 1, max: 2 ** 20 }).map((pages) => pages * 4096),
          directory: fc.constantFrom(undefined, hostPath('/project/dir')),
          options: fc.constantFrom(undefined, 'cache.direct=on'),
          fileId: name,
          flags: fc.constantFrom([], ['persist' as const]),
        }),
      ),
    );
  });

  it('for quoted words', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1 })), (words) => {
        const split = splitWords(traced(words.map(quoteWord).join(' ')));
        expect(split?.map(({ text }) => text)).toEqual(words);
      }),
    );
  });
});

describe('what may be written', () => {
  it.each(['1', 'true', 'YES', 'y', 't', 'on', 'Always'])('%s is true', (text) =>
    expect(parse(scalars.boolean, text)).toBe(true),
  );
  it.each(['0', 'false', 'No', 'n', 'f', 'OFF', 'never'])('%s is false', (text) =>
    expect(parse(scalars.boolean, text)).toBe(false),
  );
  it.each([
    ['enabled', true],
    ['disabled', false],
    ['auto', 'auto'],
    ['no', false],
  ])('the feature %s is %s', (text, value) => expect(parse(scalars.feature, text)).toBe(value));

  it.each([
    ['5G', 5 * 2 ** 30],
    ['1.5G', 1.5 * 2 ** 30],
    ['10000', 12288],
    ['2.2M', 2310144],
    ['1K', 4096],
    ['.5K', 4096],
  ])('the size %s is %i bytes', (text, bytes) => expect(parse(scalars.size, text)).toBe(bytes));
  it.each(['', '0', '-1', '1T', 'G'])('%j is no size', (text) =>
    expect(scalars.sizeOf(text)).toBeUndefined(),
  );

  it('writes UUIDs in lower case with dashes', () => {
    expect(parse(scalars.uuidOr([]), '6F1E2D3C4B5A69788796A5B4C3D2E1F0')).toBe(
      '6f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
    );
    expect(faults(scalars.uuidOr(['random']), 'rnd')).toEqual(["'rnd' is not a UUID"]);
  });

  it('takes aliases and boolean words in enumerations, and knows words without an effect', () => {
    const codec = scalars.enumeration(['none', 'zstd'], {
      aliases: { zst: 'zstd' },
      boolean: { yes: 'zstd', no: 'none' },
      later: ['lz4'],
    });
    expect(['zst', 'yes', 'off'].map((text) => parse(codec, text))).toEqual(['zstd', 'zstd', 'none']);
    expect(parse(codec, 'lz4')).toBe('lz4');
    expect([codec.choices, codec.later]).toEqual([['none', 'zstd', 'lz4'], ['lz4']]);
    expect(faults(codec, 'constructor')).toEqual(["'constructor' is not a known value"]);
  });

  it('knows hashed passwords, the empty one included', () => {
    expect(parse(scalars.password, 'hashed:')).toEqual({ hashed: true, value: '' });
    expect(parse(scalars.password, 'swamp')).toEqual({ hashed: false, value: 'swamp' });
    expect(scalars.password.redact?.({ hashed: false, value: 'swamp' })).toEqual({
      hashed: false,
      value: '***',
    });
  });

  it('splits lists at commas and white space, command lines at white space only', () => {
    expect(parse(collections.list, 'a,,b , c\nd')).toEqual(['a', 'b', 'c', 'd']);
    expect(parse(collections.spaceList, 'console=ttyS0,115200n8  quiet\nrw')).toEqual([
      'console=ttyS0,115200n8',
      'quiet',
      'rw',
    ]);
  });

  it('takes quoted items of lists as they are', () => {
    expect(parse(collections.list, `"a, b" 'c "d"' e"f g" "x\\"\\\\y" ''`)).toEqual([
      'a, b',
      'c "d"',
      'e"f',
      'g"',
      'x"\\y',
      '',
    ]);
    expect(faults(collections.list, 'a "b c')).toEqual(['a quote is not closed']);
    expect(parse(path(), 'my dir')).toBe('/project/my dir');
    expect(parse(collections.pathList(path({ mustExist: true })), '"my dir",dir')).toEqual([
      '/project/my dir',
      '/project/dir',
    ]);
    expect(parse(credentials, 'my dir')).toEqual([{ name: 'one', file: '/project/my dir/one' }]);
  });

  it('reads !NAME in lists of names as taking the name back, unless it is quoted', () => {
    const entries = (codec: Codec<unknown>, text: string): readonly unknown[] => {
      const parsed = codec.parse(traced(text), context);
      return parsed.ok ? parsed.value.map(({ value, removes }) => (removes === true ? [value] : value)) : [];
    };
    expect(entries(collections.packages, 'vim !nano "!x"')).toEqual(['vim', ['nano'], '!x']);
    expect(entries(collections.list, 'vim !nano')).toEqual(['vim', '!nano']);
    expect(faults(collections.names, 'vim !')).toEqual(['a name is missing behind !']);
    expect(faults(collections.profileNames, 'a ../b')).toEqual(["'../b' is not a file name"]);
  });

  it('keeps quoted arguments of the kernel together, with their quotes', () => {
    expect(parse(collections.kernelArguments, `dyndbg="file a +p" quiet "x y" b"c don't`)).toEqual([
      'dyndbg="file a +p"',
      'quiet',
      '"x y"',
      'b"c',
      "don't",
    ]);
  });

  it('shows no PIN, no password and no user of a proxy', () => {
    const pin = 'pkcs11:object=x;pin-value=1234?module-name=y';
    expect(secrets.privateKey.redact?.(pin)).toBe('pkcs11:object=x;pin-value=***?module-name=y');
    expect(secrets.keySource.redact?.({ type: 'provider', source: 'p:pin-value=12' })).toEqual({
      type: 'provider',
      source: 'p:pin-value=***',
    });
    expect(secrets.url.redact?.('socks5://me:secret@proxy.example:1080/x@y')).toBe(
      'socks5://me:***@proxy.example:1080/x@y',
    );
    expect(secrets.url.redact?.('http://proxy.example:1080/')).toBe('http://proxy.example:1080/');
  });

  it('keeps the highest version, and refuses what needs a newer language', () => {
    expect(minimumVersion.collect(['25', '26.1', '26~rc1'])).toBe('26.1');
    expect(parse(minimumVersion, '27.3')).toBe('27.3');
    expect(faults(minimumVersion, '28')).toEqual(['this configuration is for mkosi 28 or newer']);
    expect(faults(minimumVersion, 'soon')).toEqual(["'soon' is not a version"]);
  });

  it('reads profiles of unified kernel images', () => {
    expect(ukiProfiles.json(parse(ukiProfiles, 'rescue.conf plain.conf'))).toEqual([
      {
        Profile: { ID: 'rescue', TITLE: 'Save me = now' },
        Cmdline: ['a', '"b c"', 'd'],
        SignExpectedPcr: false,
      },
      { Profile: { ID: 'plain' }, Cmdline: [], SignExpectedPcr: true },
    ]);
    expect(faults(ukiProfiles, 'odd.conf empty.conf gone.conf')).toEqual([
      'CmdLine= is not a setting',
      'unknown section [Other]',
      'the profile has no ID',
      'gone.conf does not exist',
    ]);
  });

  it('refuses addresses, paths and sizes that cannot be', () => {
    expect(['2', '4294967295', 'any', '-1'].map((text) => faults(vsockCid, text).length)).toEqual([
      1, 1, 1, 1,
    ]);
    expect(['auto', 'hash', '77'].map((text) => vsockCid.json(parse(vsockCid, text)))).toEqual([-1, -2, 77]);
    expect(faults(imagePath, 'usr/x')).toEqual(["'usr/x' is not an absolute path"]);
    expect(faults(path({ outside: '/usr' }), '/usr/bin')).toEqual(['/usr/bin lies below /usr']);
    expect(faults(secrets.keySource, 'disk:x')).toEqual(["'disk:x' is not a source of keys"]);
  });

  it('names every bad item of a list', () => {
    expect(faults(collections.enumerationList(scalars.enumeration(['json'])), 'xml,json csv')).toEqual([
      "'xml' is not a known value",
      "'csv' is not a known value",
    ]);
  });

  it('makes paths absolute', () => {
    expect(
      ['a/../b', '~/c', '~user', '$ROOM/d', '${ROOM}/../e', '$NONE/f', '/g'].map((text) =>
        absolutePath(text, context),
      ),
    ).toEqual(['/project/b', '/home/user/c', '/project/~user', '/room/d', '/e', '/project/$NONE/f', '/g']);
  });

  it('expands wildcards, sorted, in the order of the patterns; files without wildcards must exist', () => {
    expect(parse(collections.globList, 'c.txt *.sh none/*.sh d*/*.sh')).toEqual([
      '/project/c.txt',
      '/project/a.sh',
      '/project/b.sh',
      '/project/dir/x.sh',
    ]);
    expect(faults(collections.globList, 'a.sh nothing.sh')).toEqual(['nothing.sh does not exist']);
  });

  it('reads trees', () => {
    const codec = collections.trees({ absolute: true });
    const read = parse(codec, 'a:/b c d:/ "e f:/g h"');
    expect(read).toEqual([
      { source: '/project/a', target: 'b' },
      { source: '/project/c', target: '' },
      { source: '/project/d', target: '', rooted: true },
      { source: '/project/e f', target: 'g h' },
    ]);
    expect(codec.json(read)).toEqual([
      { Source: '/project/a', Target: '/b' },
      { Source: '/project/c', Target: null },
      { Source: '/project/d', Target: '/' },
      { Source: '/project/e f', Target: '/g h' },
    ]);
    expect(faults(codec, 'a:b')).toEqual(["'b' is not an absolute path"]);
    const relative = collections.trees({ absolute: false });
    expect(relative.json(parse(relative, 'a:b a:/b a:/ a'))).toEqual(
      ['b', '/b', '/', null].map((target) => ({ Source: '/project/a', Target: target })),
    );
    expect(relative.show(parse(relative, 'a:b a:/b a:/ a'))).toBe(
      '/project/a:b /project/a:/b /project/a:/ /project/a',
    );
    expect(faults(collections.trees({ absolute: true }), 'a:/b/../../c')).toEqual([
      "'/b/../../c' leads out of the tree",
    ]);
    expect(faults(collections.trees({ absolute: true, mustExist: true }), 'gone:/b')).toEqual([
      'gone does not exist',
    ]);
  });

  it('reads environments and takes variables over from the caller', () => {
    expect(parse(collections.environment, `A=1 'M=stand still' HOME NONE A=2 E=`)).toEqual({
      A: '2',
      M: 'stand still',
      HOME: '/home/user',
      NONE: '',
      E: '',
    });
    expect(faults(collections.environment, '"A=1')).toEqual(['a quote is not closed']);
    expect(faults(collections.environment, '=1')).toEqual(["'=1' has no name before '='"]);
  });

  it('reads credentials from words, files and directories', () => {
    expect(parse(credentials, `a.b=1 'motd=see you' creds`)).toEqual([
      { name: 'a.b', value: '1' },
      { name: 'motd', value: 'see you' },
      { name: 'one', file: '/project/creds/one' },
      { name: 'two', file: '/project/creds/two' },
    ]);
    expect(parse(credentials, 'a.sh')).toEqual([{ name: 'a.sh', file: '/project/a.sh' }]);
    expect(faults(credentials, 'nothing')).toEqual(['nothing does not exist']);
    expect(credentials.redact?.([{ name: 'a', value: '1' }])).toEqual([{ name: 'a', value: '***' }]);
  });

  it('reads ports', () => {
    expect(parse(portForwards, '8080:80 udp:53:5353, tcp:22')).toEqual([
      { protocol: 'tcp', host: 8080, guest: 80 },
      { protocol: 'udp', host: 53, guest: 5353 },
      { protocol: 'tcp', host: 22, guest: 22 },
    ]);
    expect(faults(portForwards, '0:80 80:65536 icmp:1:2 a:b 1:2:3 :80').length).toBe(6);
  });

  it('reads drives', () => {
    expect(parse(drives, 'scratch:2G media:1M:dir:cache.direct=on:shared:persist')).toEqual([
      {
        id: 'scratch',
        size: 2 ** 31,
        directory: undefined,
        options: undefined,
        fileId: 'scratch',
        flags: [],
      },
      {
        id: 'media',
        size: 2 ** 20,
        directory: '/project/dir',
        options: 'cache.direct=on',
        fileId: 'shared',
        flags: ['persist'],
      },
    ]);
    expect(faults(drives, 'x y:1Q a:1:::::: b:1G::::wipe c:1G:gone')).toEqual([
      "'' is not a size",
      "'1Q' is not a size",
      "'a:1::::::' is not a drive",
      "'wipe' is not a flag",
      'gone does not exist',
    ]);
  });

  it('sorts packages: names by bytes, then files, then conditional ones', () => {
    const entries = ['zsh', '/usr/bin/ld', '(meson)', 'Xorg', 'acl'].map((value) => ({
      value,
      origin: { kind: 'default' } as const,
    }));
    expect(collections.packages.order?.(entries).map(({ value }) => value)).toEqual([
      'Xorg',
      'acl',
      'zsh',
      '/usr/bin/ld',
      '(meson)',
    ]);
  });
});
