/** Projects that nobody would write: what must hold of reading them, whatever they say. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Diagnostic, Origin } from '../../../src/base/diagnostic.ts';
import type { ConfigFiles } from '../../../src/config/files.ts';
import { lintProject } from '../../../src/config/lint.ts';
import { loadProject } from '../../../src/config/project.ts';
import type { RunProgram } from '../../../src/config/programs.ts';
import { imageJson, missingInputs } from '../../../src/config/resolved-image.ts';
import { settingRows } from '../../../src/config/settings/table.ts';
import { memoryFiles, memoryProject } from '../../helpers/memory-files.ts';
import { processorMilliseconds } from '../../helpers/processor-time.ts';

type Files = Readonly<Record<string, string>>;

/** Values that some setting takes. Paths that lead out of the project all begin with a slash. */
const values = [
  ...[
    'yes',
    'no',
    'auto',
    '',
    'default',
    '5',
    '-1',
    '4G',
    '1.5M',
    '0755',
    '12:0',
    '%i',
    '%D/src',
    '%%',
    '%?',
  ],
  ...[
    'debian',
    'trixie',
    'tar',
    'disk',
    'cpio',
    'zstd:3',
    'x86-64',
    'a',
    'b',
    '!a',
    'a b !b',
    '"a b" c',
    '*',
  ],
  ...['src', 'src:/usr/src', 'sub/*.conf', '/outside/file', '/outside/dir/', '/outside/*', '~/x', '$ROOM/y'],
  ...[
    'A=1',
    'A=1 B="2 3"',
    'name=value',
    'file:/dev/x',
    'provider:pkcs11',
    'https://user:pw@host/path',
    'a,b',
  ],
  ...[
    '2030-01-01',
    '00000000-0000-0000-0000-000000000000',
    'hashed:$6$x',
    '>=1.2',
    '|a',
    '|!b',
    "don't # do",
  ],
  ...['x'.repeat(300), 'é—\u{1F600}', '\\#', '[x]', 'a:b:c:d', ':', '=', ',', '"', '..a'],
] as const;

const sections = ['Config', 'Include', 'Content', 'Output', 'Distribution', 'Build', 'Validation', 'Runtime'];
const conditions = ['Match', 'TriggerMatch', 'Assert', 'TriggerAssert'];
const conditionKeys = ['Image', 'PathExists', 'SystemdVersion', 'HostArchitecture', 'Profiles', 'Format'];

/** Names with a meaning, among them those that stand for files and for directories. */
const names = [
  ...['mkimg.conf', 'mkimg.local.conf', 'mkimg.conf.d/a.conf', 'mkimg.conf.d/b/mkimg.conf', 'mkimg.env'],
  ...[
    'mkimg.conf.d/c/mkosi.conf',
    'mkimg.profiles/a.conf',
    'mkimg.profiles/b/mkimg.conf',
    'mkimg.local/mkimg.conf',
  ],
  ...[
    'mkimg.images/a.conf',
    'mkimg.images/b/mkimg.conf',
    'mkimg.images/b/mkimg.local.conf',
    'mkimg.initrd.conf',
  ],
  ...['mkimg.tools.conf', 'mkimg.initrd/mkimg.conf', 'mkimg.version', 'mkimg.rootpw', 'mkimg.repart/10.conf'],
  ...[
    'mkimg.credentials/c',
    'mkimg.extra/',
    'mkimg.build',
    'mkimg.build.d/x.sh',
    'mkimg.uki-profiles/p.conf',
  ],
  ...['sub/mkimg.conf', 'sub/x.conf', 'inc.conf', 'src/', 'mkosi.conf', 'mkimg.conf/x', 'mkimg.version/x'],
  ...[
    'mkimg.images/tools.conf',
    'mkimg.key',
    'mkimg.crt',
    'mkimg.passphrase',
    'mkimg.tools/',
    'mkimg.skeleton.tar',
  ],
];

const includes = [
  'inc.conf',
  'sub',
  'sub/x.conf',
  '.',
  'mkimg.conf',
  'mkimg.conf.d',
  'mkimg-vm',
  'gone',
  'loop',
];

const lists = ['a', 'b', 'a b', 'a a', '!a', 'main'];

function pick(texts: readonly string[]): fc.Arbitrary<string> {
  return fc.constantFrom(...texts);
}

function assignment(keys: readonly string[], texts: readonly string[]): fc.Arbitrary<string> {
  return fc.tuple(pick(keys), pick(texts)).map(([key, text]) => `${key}=${text}`);
}

/** What people write; a project of such lines alone is read without errors. */
const goodSections = [
  '[Content]\nPackages=a b\n  c # why\n  !d',
  '[Content]\nHostname=egret\nKeymap=de\nBootable=yes\nRootPassword=hashed:$6$x',
  '[Content]\nExtraTrees=src:/usr/src\nRemoveFiles=/usr/share/%i',
  '[Output]\nImageId=egret\nImageVersion=1.2\nFormat=tar\nOutput=%i_%v\nOutputDirectory=out',
  '[Output]\nFormat=disk\nCompressOutput=zstd\nSectorSize=4096\nSplitArtifacts=uki,partitions',
  '[Distribution]\nDistribution=debian\nRelease=sid\nRepositories=contrib\nArchitecture=arm64',
  '[Build]\nToolsTree=default\nToolsTreePackages=jq !zstd\nIncremental=yes\nWithNetwork=yes',
  '[Build]\nEnvironment=A=1 "B=2 3"\nWithTests=no',
  '[Runtime]\nCredentials=name=value',
  '[Validation]\nSecureBoot=no\nChecksum=yes',
  '[Config]\nProfiles=a b',
  '[Include]\nInclude=mkimg-vm',
  '[Match]\nDistribution=|debian\nDistribution=|fedora\nRelease=!sid',
  '[TriggerMatch]\nProfiles=a\n[TriggerMatch]\nFormat=disk',
  '[Match]\nPathExists=!/outside/x\nEnvironment=A=1\nImageVersion=>=1.0',
] as const;

const sectionOf = new Map<string, string>(settingRows.map(({ name, section }) => [name, section]));

const settingLine = fc.oneof(
  {
    weight: 8,
    arbitrary: assignment([...sectionOf.keys()], values).map(
      (line) => `[${sectionOf.get(line.slice(0, line.indexOf('='))) ?? ''}]\n${line}`,
    ),
  },
  { weight: 2, arbitrary: assignment(['[Include]\nInclude'], includes) },
  { weight: 2, arbitrary: assignment(['[Config]\nDependencies', 'Profiles'], lists) },
  { weight: 1, arbitrary: assignment([...sectionOf.keys()], values) },
  { weight: 1, arbitrary: pick(values).map((text) => `  ${text}`) },
);

const section = fc.oneof(
  { weight: 6, arbitrary: pick(goodSections) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(pick(sections), fc.array(settingLine, { maxLength: 4 }))
      .map(([name, lines]) => [`[${name}]`, ...lines].join('\n')),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick(conditions), fc.array(assignment(conditionKeys, values), { maxLength: 3 }))
      .map(([name, lines]) => [`[${name}]`, ...lines].join('\n')),
  },
);

/** A change that a slip of the hand, an editor or a broken disk would make. */
const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.nat({ max: 12 }),
  insert: fc.oneof(
    pick(['\n', '\r\n', '\r', '[', ']', '=', '#', '"', "'", '\\', '%', '!', '|', ' ', '\t', '\n  ', '\n[']),
    pick(['\0', '\uFFFD', '\uFEFF', '\u2028', '\u00A0', '\uD800', '$', '{', ':', '*', '(', ',']),
    fc.string({ maxLength: 4, unit: 'binary' }).map((text) => text.replaceAll(/[./~]/g, '_')),
  ),
});

/** Most files are as somebody wrote them, so that most faults are found one at a time. */
const mutations = fc.oneof(
  { weight: 4, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 3 }) },
);

const content = fc
  .tuple(fc.array(section, { maxLength: 4 }), mutations, fc.boolean())
  .map(([parts, changes, program]) => {
    let text = parts.join('\n');
    for (const { at, remove, insert } of changes) {
      const start = Math.floor(at * text.length);
      text = text.slice(0, start) + insert + text.slice(start + remove);
    }
    return program && parts.length === 0 ? '#!/bin/sh\n' : text;
  });

/** Files that are no configuration. */
const plain: Files = { 'mkimg.env': 'A=1\n', 'mkimg.version': '1.2\n', 'mkimg.rootpw': 'x\n' };

const project = fc
  .tuple(content, fc.dictionary(pick(names), content, { maxKeys: 8 }))
  .map(([main, others]): Files => {
    const named = Object.entries(others).map(([name, text]) => [name, plain[name] ?? text]);
    return { 'mkimg.conf': main, ...(Object.fromEntries(named) as Files) };
  });

const flags = fc.array(fc.tuple(pick(settingRows.map(({ name }) => name)), pick(values)), { maxLength: 2 });

/** What is called `loop` is a link to the project. */
function throughLinks(path: string): string {
  const end = path.lastIndexOf('/loop');
  return end >= 0 && /^\/loop(?:\/|$)/.test(path.slice(end))
    ? posix.join('/project', path.slice(end + '/loop'.length))
    : path;
}

/** Notes all paths that were asked for. */
function watched(files: ConfigFiles, asked: Set<string>): ConfigFiles {
  const note = (path: string): string => {
    asked.add(posix.normalize(path));
    return throughLinks(path);
  };
  return {
    stat: (path) => files.stat(note(path)),
    list: (path) => files.list(note(path)),
    read: (path) => files.read(note(path)),
    realPath: (path) => files.realPath(note(path)),
  };
}

const answer: RunProgram = ({ argv }) =>
  Promise.resolve(
    argv.length > 0 ? { ok: true, output: 'systemd 257 (257.1)\n' } : { ok: false, reason: 'exit status 1' },
  );

/** What mkimg brings along belongs to every project. */
const builtin = ['configs', 'drop-ins'].map((name) => posix.resolve(import.meta.dirname, '../../..', name));

function isInProject(path: string): boolean {
  return ['/project', ...builtin].some((root) => path === root || path.startsWith(`${root}/`));
}

/** A path outside of the project is named by a value: the part of it before wildcards and variables stands somewhere. */
function isNamed(path: string, texts: readonly string[]): boolean {
  const roots = ['/outside', '/home/user', '/room'];
  const root = roots.find((candidate) => path === candidate || path.startsWith(`${candidate}/`));
  if (root === '/outside') return texts.some((text) => text.includes('/outside'));
  if (root === '/home/user') return texts.some((text) => text.includes('~'));
  if (root === '/room') return texts.some((text) => text.includes('$'));
  return texts.some((text) => text.includes(path) || text.includes(`:/${posix.basename(path)}`));
}

function isInside({ kind, ...origin }: Origin, files: Files): boolean {
  if (kind !== 'file' || !('span' in origin)) return true;
  const { file, line, column, length } = origin.span;
  const name = throughLinks(file).replace(/^\/project\//, '');
  const text = files[name] ?? readFileSync(file, 'utf8');
  const found = text.split('\n')[line - 1];
  return (
    found !== undefined && column >= 1 && length >= 1 && column + length <= Math.max(found.length, 1) + 1
  );
}

function places({ origin, related = [] }: Diagnostic): readonly Origin[] {
  return [...(origin === undefined ? [] : [origin]), ...related.map((other) => other.origin)];
}

describe('any project', () => {
  it('is read to its end, within itself, and every fault has a code and a place in the file it names', async () => {
    let slowest = 0;
    const read = async (files: Files, given: readonly (readonly [string, string])[]): Promise<void> => {
      const asked = new Set<string>();
      const memory = watched(memoryFiles(files), asked);
      const begin = processorMilliseconds();
      const loaded = await loadProject({
        ...memoryProject(files, given),
        files: memory,
        runProgram: answer,
      });
      const found = loaded.ok
        ? [...loaded.warnings, ...lintProject(loaded.value, memory)]
        : loaded.diagnostics;
      if (loaded.ok)
        for (const image of loaded.value.images) {
          imageJson(image, { revealSecrets: false });
          missingInputs(image, memory);
        }
      slowest = Math.max(slowest, processorMilliseconds() - begin);
      expect(loaded.ok || loaded.diagnostics.some(({ severity }) => severity === 'error')).toBe(true);
      expect(
        found.filter(({ code, message }) => !/^[a-z]+(?:-[a-z]+)*$/.test(code) || message === ''),
      ).toEqual([]);
      expect(found.flatMap(places).filter((origin) => !isInside(origin, files))).toEqual([]);
      const texts = [...Object.values(files), ...given.map(([, text]) => text)];
      expect([...asked].filter((path) => !isInProject(path) && !isNamed(path, texts))).toEqual([]);
    };
    await fc.assert(fc.asyncProperty(project, flags, read), { numRuns: 300 });
    expect(slowest).toBeLessThan(5000);
  }, 300_000);
});
