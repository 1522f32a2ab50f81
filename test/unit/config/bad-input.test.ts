/** What mkimg says about projects that are broken, word for word. */
import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../src/base/errors.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { formatDiagnostics } from '../../../src/cli/diagnostics.ts';
import type { ConfigFiles, FileFacts } from '../../../src/config/files.ts';
import { loadProject } from '../../../src/config/project.ts';
import { memoryFiles, memoryProject } from '../../helpers/memory-files.ts';

type Files = Readonly<Record<string, string>>;

/** All that is said about a project, without the directory of the project. */
async function told(
  content: Files,
  change: (files: ConfigFiles) => Partial<ConfigFiles> = () => ({}),
): Promise<string> {
  const memory = memoryFiles(content);
  const files = { ...memory, ...change(memory) };
  const loaded = await loadProject({ ...memoryProject(content), files });
  const text = formatDiagnostics(loaded.ok ? loaded.warnings : loaded.diagnostics, (path) =>
    memory.read(path),
  );
  return text.replaceAll('/project/', '');
}

describe('inputs that go in circles', () => {
  it('files that include each other', async () => {
    const files = {
      'mkimg.conf': '[Include]\nInclude=b.conf\n',
      'b.conf': '[Include]\nInclude=mkimg.conf\n',
    };
    expect(await told(files)).toMatchInlineSnapshot(`
      "b.conf:2:9: error: mkimg.conf includes itself
          Include=mkimg.conf
                  ~~~~~~~~~~
        hint: It is being read already; remove the line.
      "
    `);
  });

  it('a directory that includes itself', async () => {
    const files = {
      'mkimg.conf': '[Include]\nInclude=sub\n',
      'sub/mkimg.conf': '',
      'sub/mkimg.conf.d/a.conf': '[Include]\nInclude=..\n',
    };
    expect(await told(files)).toMatchInlineSnapshot(`
      "sub/mkimg.conf.d/a.conf:2:9: error: /project includes itself
          Include=..
                  ~~
        hint: It is being read already; remove the line.
      "
    `);
  });

  it('a link to a directory around it', async () => {
    const files = { 'mkimg.conf': '', 'mkimg.conf.d/up/mkimg.conf': '[Content]\nHostname=x\n' };
    const realPath = (path: string): string => path.replace(/\/mkimg\.conf\.d\/up$/, '');
    expect(await told(files, () => ({ realPath }))).toMatchInlineSnapshot(`
      "mkimg.conf.d/up: error: mkimg.conf.d/up contains itself through a symbolic link
        hint: Remove the link.
      "
    `);
  });

  it('an image that depends on itself', async () => {
    const files = { 'mkimg.conf': '', 'mkimg.images/a.conf': '[Config]\nDependencies=a\n' };
    expect(await told(files)).toMatchInlineSnapshot(`
      "mkimg.images/a.conf:2:14: error: the image 'a' depends on itself
          Dependencies=a
                       ~
        hint: Remove one of the Dependencies=.
      "
    `);
  });

  it('two images that depend on each other', async () => {
    const files = {
      'mkimg.conf': '',
      'mkimg.images/a.conf': '[Config]\nDependencies=b\n',
      'mkimg.images/b.conf': '[Config]\nDependencies=a\n',
    };
    expect(await told(files)).toMatchInlineSnapshot(`
      "mkimg.images/a.conf:2:14: error: images depend on each other: b -> a -> b
          Dependencies=b
                       ~
        hint: Remove one of the Dependencies=.
      "
    `);
  });
});

describe('files that are none', () => {
  const aFile =
    'it is a directory where a file is expected\n  hint: Directories of settings have other names: mkimg.conf.d/, mkimg.local/, mkimg.profiles/.';

  it.each([
    ['mkimg.conf/', `error: ${aFile}`],
    ['mkimg.local.conf/', `error: ${aFile}`],
    ['mkimg.images/a/mkimg.conf/', `error: ${aFile}`],
    ['mkimg.version/', 'warning: it is a directory, so it does not set ImageVersion='],
    ['mkimg.rootpw/', 'warning: it is a directory, so it does not set RootPassword='],
    ['mkimg.build/', 'warning: it is a directory, so it does not set BuildScripts='],
    ['mkimg.env/', 'warning: it is a directory, so it does not set EnvironmentFiles='],
  ])('%s', async (name, expected) => {
    const others = name === 'mkimg.conf/' ? {} : { 'mkimg.conf': '' };
    const text = await told({ ...others, [name]: '', 'mkimg.conf.d/a.conf': '' });
    expect(text).toBe(`${name.slice(0, -1)}: ${expected}\n`);
  });

  it('a file that may not be read; what is wrong elsewhere is said all the same', async () => {
    const files = { 'mkimg.conf': '[Content]\nHostnam=x\n', 'mkimg.conf.d/a.conf': '', 'mkimg.version': '1' };
    const closed = (memory: ConfigFiles): Partial<ConfigFiles> => ({
      read: (path: string): string => {
        if (path.endsWith('mkimg.conf')) return memory.read(path);
        throw denied(path);
      },
    });
    expect(await told(files, closed)).toMatchInlineSnapshot(`
      "mkimg.version: error: it cannot be read: permission denied
      mkimg.conf.d/a.conf: error: it cannot be read: permission denied
      mkimg.conf:2:1: error: Hostnam= is not a setting
          Hostnam=x
          ~~~~~~~
        hint: Did you mean 'Hostname'?
      "
    `);
  });

  it('a directory that may not be entered', async () => {
    const files = { 'mkimg.conf': '[Content]\nHostnam=x\n', 'mkimg.conf.d/a/mkimg.conf': '' };
    const closed = (memory: ConfigFiles): Partial<ConfigFiles> => ({
      stat: (path: string): FileFacts | undefined => {
        if (path.includes('/a/')) throw denied(path);
        return memory.stat(path);
      },
    });
    expect(await told(files, closed)).toMatchInlineSnapshot(`
      "mkimg.conf.d/a/mkimg.conf: error: it cannot be read: permission denied
      "
    `);
  });

  it('secrets that others can read', async () => {
    const files = {
      'mkimg.conf': '[Validation]\nSecureBootKey=sb.key\nPassphrase=luks\n',
      'sb.key': '',
      luks: '',
      'mkimg.rootpw': 'x',
      'mkimg.key': '',
      'mkimg.credentials/token': '',
    };
    const open = (memory: ConfigFiles): Partial<ConfigFiles> => ({
      stat: (path: string): FileFacts | undefined => {
        const facts = memory.stat(path);
        return facts && { ...facts, openToOthers: true };
      },
    });
    expect(await told(files, open)).toMatchInlineSnapshot(`
      "mkimg.rootpw: error: other users can read this secret
        hint: Run chmod 600 mkimg.rootpw.
      mkimg.key: error: other users can read this secret
        hint: Run chmod 600 mkimg.key.
      mkimg.conf:2:15: error: other users can read this secret
          SecureBootKey=sb.key
                        ~~~~~~
        hint: Run chmod 600 sb.key.
      mkimg.conf:3:12: error: other users can read this secret
          Passphrase=luks
                     ~~~~
        hint: Run chmod 600 luks.
      "
    `);
  });
});

describe('text that is none', () => {
  it('bytes that are not UTF-8', async () => {
    expect(await told({ 'mkimg.conf': '[Content]\nHostname=caf\uFFFD\nKeymap=de\n' })).toMatchInlineSnapshot(`
      "mkimg.conf:2:13: error: the line has bytes that are not UTF-8
          Hostname=caf�
                      ~
        hint: Save the file as UTF-8.
      "
    `);
  });

  it('line ends of DOS', async () => {
    expect(await told({ 'mkimg.conf': '[Content]\r\nHostname=x\r\n' })).toMatchInlineSnapshot(`
      "mkimg.conf:1:10: warning: lines end with a carriage return
          [Content]
                   ~
        hint: Save the file as UTF-8 with the line ends of Unix.
      "
    `);
  });

  it('a line of 10 MB', async () => {
    const text = await told({ 'mkimg.conf': `[Content]\nHostname=${'x'.repeat(10_000_000)}\n` });
    expect(text.replaceAll(/x{200,}/g, 'xxx')).toMatchInlineSnapshot(`
      "mkimg.conf:2:1: error: the line has 10000009 characters
          Hostname=xxx…
          ~
        hint: No line may have more than 1048576 characters.
      "
    `);
  });
});

describe('names that are none', () => {
  const text = '[Content]\nHostnam=x\n[Contents]\nKeymap=de\n';

  it('in files with the prefix mkimg.', async () => {
    expect(await told({ 'mkimg.conf': text })).toMatchInlineSnapshot(`
      "mkimg.conf:2:1: error: Hostnam= is not a setting
          Hostnam=x
          ~~~~~~~
        hint: Did you mean 'Hostname'?
      mkimg.conf:3:1: error: unknown section [Contents]
          [Contents]
          ~~~~~~~~~~
        hint: Did you mean [Content]?
      "
    `);
  });

  it('in files with the prefix mkosi.', async () => {
    expect(await told({ 'mkosi.conf': text })).toMatchInlineSnapshot(`
      "mkosi.conf:2:1: warning: Hostnam= is not a setting and is ignored
          Hostnam=x
          ~~~~~~~
        hint: Did you mean 'Hostname'?
      mkosi.conf:3:1: error: unknown section [Contents]
          [Contents]
          ~~~~~~~~~~
        hint: Did you mean [Content]?
      "
    `);
  });

  it('of files that a line lists', async () => {
    const listed =
      '[Include]\nInclude=gone.conf\n[Content]\nBuildScripts=src/gone.sh\n[Build]\nEnvironmentFiles=gone.env\n';
    expect(await told({ 'mkimg.conf': listed })).toMatchInlineSnapshot(`
      "mkimg.conf:2:9: error: gone.conf does not exist
          Include=gone.conf
                  ~~~~~~~~~
        hint: Looked for gone.conf (relative paths count from /project).
      mkimg.conf:4:14: error: src/gone.sh does not exist
          BuildScripts=src/gone.sh
                       ~~~~~~~~~~~
        hint: Looked for src/gone.sh (relative paths count from /project).
      mkimg.conf:6:18: error: gone.env does not exist
          EnvironmentFiles=gone.env
                           ~~~~~~~~
        hint: Looked for gone.env (relative paths count from /project).
      "
    `);
  });
});

function denied(path: string): ConfigurationError {
  const origin = { kind: 'path', path: hostPath(path) } as const;
  const message = 'it cannot be read: permission denied';
  return new ConfigurationError([{ severity: 'error', code: 'unreadable-file', message, origin }]);
}
