import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const source = resolve(import.meta.dirname, '../../src');

/** Each room may import itself and the rooms after it; rooms on one level do not know each other. */
const levels = [
  ['cli'],
  ['qemu', 'initrd', 'engine'],
  ['steps'],
  ['sandbox', 'formats'],
  ['plan'],
  ['config'],
  ['distro'],
  ['base'],
] as const;

const levelOf = new Map<string, number>(
  levels.flatMap((rooms, level) => rooms.map((room) => [room, level] as const)),
);

interface Import {
  readonly file: string;
  readonly room: string;
  readonly specifier: string;
}

async function allImports(): Promise<readonly Import[]> {
  const names = await readdir(source, { recursive: true });
  const files = names.filter((name) => name.endsWith('.ts'));
  const perFile = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(source, file), 'utf8');
      const specifiers = [...text.matchAll(/(?:from|import\()\s*'([^']+)'/g)].map((match) => match[1] ?? '');
      return specifiers.map((specifier) => ({ file, room: file.split('/')[0] ?? '', specifier }));
    }),
  );
  return perFile.flat();
}

function targetRoom({ file, specifier }: Import): string {
  return relative(source, resolve(source, dirname(file), specifier)).split('/')[0] ?? '';
}

describe('the rooms of src/', () => {
  it('import one way only', async () => {
    const imports = (await allImports()).filter(({ specifier }) => specifier.startsWith('.'));
    expect(imports.length).toBeGreaterThan(50);
    const breaches = imports.filter((entry) => {
      const from = levelOf.get(entry.room);
      const to = levelOf.get(targetRoom(entry));
      if (from === undefined || to === undefined) return true;
      return from > to || (from === to && entry.room !== targetRoom(entry));
    });
    expect(breaches).toEqual([]);
  });

  it('start processes in sandbox/ only', async () => {
    const starters = (await allImports()).filter(({ specifier }) =>
      ['execa', 'node:child_process', 'child_process'].includes(specifier),
    );
    expect(new Set(starters.map(({ room }) => room))).toEqual(new Set(['sandbox']));
  });

  it('open no network in plan/, config/, distro/ and formats/', async () => {
    const network = ['node:net', 'node:http', 'node:https', 'node:tls', 'node:dgram', 'undici'];
    const users = (await allImports()).filter(
      ({ room, specifier }) =>
        ['plan', 'config', 'distro', 'formats'].includes(room) && network.includes(specifier),
    );
    expect(users).toEqual([]);
  });

  it('write to the terminal and set exit codes in cli/ only', async () => {
    const names = (await readdir(source, { recursive: true })).filter(
      (name) => name.endsWith('.ts') && !name.startsWith('cli/'),
    );
    const texts = await Promise.all(
      names.map(async (name) => ({ name, text: await readFile(join(source, name), 'utf8') })),
    );
    const writers = texts.filter(({ text }) =>
      /(?<!\w)process\.(?:(?:stdout|stderr)\.write|exit)|(?<![.\w])console\.\w+\(/.test(text),
    );
    expect(writers.map(({ name }) => name)).toEqual([]);
  });
});
