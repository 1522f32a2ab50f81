import { spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { exists } from '../../src/base/files.ts';
import { bashCompletion } from '../../src/cli/completion/bash.ts';
import { fishCompletion } from '../../src/cli/completion/fish.ts';
import { completionModel } from '../../src/cli/completion/model.ts';
import { zshCompletion } from '../../src/cli/completion/zsh.ts';
import { verbs } from '../../src/cli/verbs.ts';
import { flagRows } from '../../src/config/settings/table.ts';
import { until } from '../helpers/cli.ts';

const model = completionModel(verbs, flagRows);

/** The words that a shell offers after this command line. */
type Offers = (line: string) => Promise<readonly string[]>;

/** What each shell must know; the lines end where the user presses Tab. */
const cases: readonly (readonly [line: string, some: readonly string[], notOthers: readonly string[]])[] = [
  ['mkimg su', ['summary'], ['build']],
  ['mkimg ', ['build', 'summary', 'qemu', 'vm'], ['--format', 'prune']],
  ['mkimg --format tar pl', ['plan'], ['tar']],
  ['mkimg --form', ['--format'], ['--help', 'summary']],
  ['mkimg --format=d', ['directory', 'disk'], ['tar']],
  ['mkimg -t c', ['cpio'], ['tar', 'cache']],
  ['mkimg cache ', ['list', 'prune', 'verify'], ['build']],
  ['mkimg cache prune --old', ['--older-than'], ['--origin']],
  ['mkimg summary --or', ['--origin'], []],
  ['mkimg plan --or', [], ['--origin']],
  ['mkimg completion z', ['zsh'], ['bash']],
  ['mkimg --include ', ['some file', 'place'], ['build']],
  ['mkimg --directory ', ['place'], ['some file', 'build']],
  ['mkimg qemu -- ', ['some file'], ['build', '--format']],
];

function meets(shell: () => Offers): void {
  it.each(cases)('%s', async (line, some, notOthers) => {
    const offered = await shell()(line);
    for (const word of some) expect(offered).toContain(word);
    for (const word of notOthers) expect(offered).not.toContain(word);
  });
}

/** A directory with two files to offer, in which the shells run. */
async function place(): Promise<TemporaryDirectory> {
  const directory = await temporaryDirectory('/var/tmp', 'test-completion-');
  await writeFile(join(directory.path, 'some file'), '');
  await mkdir(join(directory.path, 'place'));
  return directory;
}

function run(program: string, argv: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, argv, { cwd, encoding: 'utf8' });
  if (error !== undefined) throw error;
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

/** Flags end in `=` and directories in `/`, as each shell likes it. */
function plain(words: readonly string[]): readonly string[] {
  return words.map((word) => word.replace(/^(--format=)(?=.)/, '').replace(/[=/]$/, ''));
}

describe('bash', () => {
  // compopt works only while bash itself completes; what it sets is how words are quoted.
  const driver = `compopt() { :; }; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _mkimg; printf '%s\\n' "\${COMPREPLY[@]}"`;

  function offersOf(breaks: RegExp): Offers {
    return async (line) => {
      await using directory = await place();
      const file = join(directory.path, '.script');
      await writeFile(file, bashCompletion(model));
      const words = line
        .split(' ')
        .flatMap((word) => word.split(breaks))
        .filter((word, index, all) => word !== '' || index === all.length - 1);
      return plain(run('bash', ['-c', driver, 'bash', file, ...words], directory.path).split('\n'));
    };
  }

  describe('with = as a word of its own, as usual', () => meets(() => offersOf(/(=)/)));
  describe('with = as a part of words', () => meets(() => offersOf(/\n/)));

  it('registers itself', async () => {
    await using directory = await place();
    await writeFile(join(directory.path, 'script'), bashCompletion(model));
    expect(run('bash', ['-c', 'source ./script; complete -p mkimg'], directory.path)).toBe(
      'complete -F _mkimg mkimg\n',
    );
  });
});

describe('fish', () => {
  meets(() => async (line) => {
    await using directory = await place();
    await writeFile(join(directory.path, '.fish'), fishCompletion(model));
    const command = `set -x HOME ${directory.path}; source .fish; complete -C '${line}'`;
    const lines = run('fish', ['--no-config', '-c', command], directory.path).split('\n');
    return plain(lines.map((offer) => offer.split('\t')[0] ?? ''));
  });
});

describe('zsh', () => {
  let directory: TemporaryDirectory;
  beforeAll(async () => {
    directory = await place();
    await mkdir(join(directory.path, '.functions'));
    await writeFile(join(directory.path, '.functions/_mkimg'), zshCompletion(model));
    return async () => directory[Symbol.asyncDispose]();
  });

  // Keys before the line editor runs would be the terminal's to edit, where Ctrl-U drops what came before.
  // What compadd would offer is written down; with -O, -A or -D it only answers a question of the completion system.
  const startup = `
PS1=; fpath=($PWD/.functions $fpath); autoload -Uz compinit; compinit -u -d $HOME/.zcompdump
zstyle ':completion:*' insert-tab false
compadd() {
  local -a found
  if [[ \${@[(I)-[OAD]]} -eq 0 ]]; then builtin compadd -A found "$@"; print -rl -- $found >>$HOME/.offers; fi
  builtin compadd "$@"
}
zle-line-init() { print >$HOME/.ready }; zle -N zle-line-init
`;

  meets(() => async (line) => {
    const home = directory.path;
    await writeFile(join(home, '.zshrc'), startup);
    await writeFile(join(home, '.offers'), '');
    await rm(join(home, '.ready'), { force: true });
    // The line editor needs a terminal.
    const child = spawn('script', ['--quiet', '--command', 'zsh -i', '/dev/null'], {
      cwd: home,
      env: { PATH: process.env['PATH'], HOME: home, ZDOTDIR: home, TERM: 'dumb', LANG: 'C.UTF-8' },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const ended = new Promise((done) => child.on('close', done));
    await until(() => exists(join(home, '.ready')));
    // Tab, then Ctrl-U to drop the line.
    child.stdin.end(`${line}\t\u0015exit\n`);
    await ended;
    const offers = await readFile(join(home, '.offers'), 'utf8');
    return plain(offers.split('\n').map((offer) => offer.replaceAll('\\', '')));
  });
});
