import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { formatDiagnostics } from '../../../src/cli/diagnostics.ts';
import { loadProject } from '../../../src/config/project.ts';
import { memoryFiles, memoryProject } from '../../helpers/memory-files.ts';

/** What a user reads for a project: faults, or remarks where there are no faults. */
async function report(
  files: Readonly<Record<string, string>>,
  flags: Readonly<Record<string, string>> = {},
): Promise<string> {
  const request = memoryProject(files, flags);
  const loaded = await loadProject(request);
  const disk = memoryFiles(files);
  return formatDiagnostics(loaded.ok ? loaded.warnings : loaded.diagnostics, (file) => disk.read(file));
}

/** The text of a template without its margin. */
function text([literal]: TemplateStringsArray): string {
  return `${(literal ?? '')
    .split('\n')
    .slice(1)
    .map((line) => line.replace(/^ {6}/, ''))
    .join('\n')
    .trimEnd()}\n`;
}

describe('what is said about', () => {
  it('unknown-setting', async () => {
    expect(await report({ 'mkimg.conf': '[Distribution]\n  Relaese=trixie\n' })).toBe(text`
      /project/mkimg.conf:2:3: error: Relaese= is not a setting
            Relaese=trixie
            ~~~~~~~
        hint: Did you mean 'Release'?
    `);
  });

  it('unknown-setting in a file of mkosi', async () => {
    expect(await report({ 'mkosi.conf': '[Content]\nWingspan=180\n' })).toBe(text`
      /project/mkosi.conf:2:1: warning: Wingspan= is not a setting and is ignored
          Wingspan=180
          ~~~~~~~~
        hint: See mkimg --help for the settings that there are.
    `);
  });

  it('unknown-section', async () => {
    expect(await report({ 'mkosi.conf': '[Ouput]\nFormat=disk\n' })).toBe(text`
      /project/mkosi.conf:1:1: error: unknown section [Ouput]
          [Ouput]
          ~~~~~~~
        hint: Did you mean [Output]?
    `);
  });

  it('wrong-section', async () => {
    expect(await report({ 'mkimg.conf': '[Content]\nImageId=x\n' })).toBe(text`
      /project/mkimg.conf:2:1: error: ImageId= belongs to [Output], not to [Content]
          ImageId=x
          ~~~~~~~
        hint: Move the line below the header [Output].
    `);
  });

  it('old-name', async () => {
    expect(await report({ 'mkimg.conf': '[Runtime]\nQemuMem=1G\n' })).toBe(text`
      /project/mkimg.conf:2:1: warning: QemuMem= is called RAM= now
          QemuMem=1G
          ~~~~~~~
        hint: Write RAM=.
    `);
  });

  it('bad-section-header', async () => {
    expect(await report({ 'mkimg.conf': '[Content\nHostname=x\n' })).toBe(text`
      /project/mkimg.conf:1:1: error: '[Content' is not a section header
          [Content
          ~~~~~~~~
        hint: Write [Name] alone on its line.
    `);
  });

  it('missing-equals', async () => {
    expect(await report({ 'mkimg.conf': '[Content]\nPackages=vim\nnano\n' })).toBe(text`
      /project/mkimg.conf:3:1: error: 'nano' has no '='
          nano
          ~~~~
        hint: Write Setting=value; indent lines that continue the value above.
    `);
  });

  it('outside-section', async () => {
    expect(await report({ 'mkimg.conf': 'Hostname=x\n' })).toBe(text`
      /project/mkimg.conf:1:1: error: Hostname= stands outside of a section
          Hostname=x
          ~~~~~~~~
        hint: Put a section header such as [Content] above it.
    `);
  });

  it('bad-value in a list, with tabs before it', async () => {
    expect(await report({ 'mkimg.conf': '[Output]\nManifestFormat=json\n\tjson\txml # x\n' })).toBe(
      "/project/mkimg.conf:3:7: error: 'xml' is not a known value\n" +
        '    \tjson\txml # x\n' +
        '    \t    \t~~~\n' +
        '  hint: Known: json, changelog.\n',
    );
  });

  it('bad-value on the command line', async () => {
    expect(await report({ 'mkimg.conf': '' }, { Format: 'dsk' })).toBe(text`
      --Format=dsk: error: 'dsk' is not a known value
        hint: Did you mean 'disk'? Known: directory, tar, cpio, uki, disk, esp, oci, sysext, confext, portable, addon, none.
    `);
  });

  it('missing-file', async () => {
    expect(await report({ 'mkimg.conf': '[Include]\nInclude=nowhere/lost.conf\n' })).toBe(text`
      /project/mkimg.conf:2:9: error: nowhere/lost.conf does not exist
          Include=nowhere/lost.conf
                  ~~~~~~~~~~~~~~~~~
        hint: Looked for /project/nowhere/lost.conf (relative paths count from /project).
    `);
  });

  it('executable-value', async () => {
    expect(await report({ 'mkimg.conf': '', 'mkimg.version': '#!/bin/sh\n' })).toBe(text`
      /project/mkimg.version: error: it is a program, and programs are not run here to set ImageVersion=
        hint: Store its output in the file and make it not executable (chmod -x), or give ImageVersion= itself.
    `);
  });

  it('implicit-file-type', async () => {
    expect(await report({ 'mkimg.conf': '', 'mkimg.extra': '' })).toBe(text`
      /project/mkimg.extra: warning: it is not a directory, so it does not set ExtraTrees=
    `);
  });

  it('secret-open-to-others', async () => {
    const request = memoryProject({ 'mkimg.rootpw': 'x\n' });
    const disk = memoryFiles({ 'mkimg.rootpw': 'x\n' });
    const files: typeof disk = {
      ...disk,
      stat: (path) => {
        const facts = disk.stat(path);
        return facts && { ...facts, openToOthers: true };
      },
    };
    const loaded = await loadProject({ ...request, files });
    expect(formatDiagnostics(loaded.ok ? [] : loaded.diagnostics)).toBe(text`
      /project/mkimg.rootpw: error: other users can read this secret
        hint: Run chmod 600 /project/mkimg.rootpw.
    `);
  });

  it('unknown-condition', async () => {
    expect(await report({ 'mkimg.conf': '[Match]\nRelese=trixie\n' })).toBe(text`
      /project/mkimg.conf:2:1: error: unknown condition Relese=
          Relese=trixie
          ~~~~~~
        hint: Did you mean 'Release'?
    `);
  });

  it('assertion-failed', async () => {
    expect(await report({ 'mkimg.conf': '[Assert]\nFormat=tar\n' })).toBe(text`
      /project/mkimg.conf:2:8: error: the conditions of [Assert] do not hold: Format=tar
          Format=tar
                 ~~~
        hint: Format= is 'disk' here.
    `);
  });

  it('empty-specifier and unknown-specifier', async () => {
    expect(await report({ 'mkimg.conf': '[Content]\nHostname=a%v-%z\n' })).toBe(text`
      /project/mkimg.conf:2:11: warning: %v is empty: ImageVersion= has no value so far
          Hostname=a%v-%z
                    ~~
        hint: Set it above this line.
      /project/mkimg.conf:2:14: warning: %z means nothing and is left out
          Hostname=a%v-%z
                       ~~
        hint: Write %% for a percent sign.
    `);
  });

  it('unknown-profile', async () => {
    const files = { 'mkimg.conf': '', 'mkimg.profiles/desktop.conf': '' };
    expect(await report(files, { Profiles: 'desktpo' })).toBe(text`
      --Profiles=desktpo: warning: profile 'desktpo' changes nothing: no file has its name and no condition asks for it
        hint: Did you mean 'desktop'?
    `);
  });

  it('unknown-file', async () => {
    expect(await report({ 'mkimg.conf': '', 'mkimg.exrta/': '', 'mkimg.conf.bak': '' })).toBe(text`
      /project/mkimg.exrta: warning: nothing uses this file
        hint: Did you mean mkimg.extra?
    `);
    const named = { 'mkimg.conf.d/1.conf': '[Content]\nExtraTrees=mkimg.exrta\n', 'mkimg.exrta/': '' };
    expect(await report(named)).toBe('');
  });

  it('other-names', async () => {
    expect(await report({ 'mkosi.conf': '', 'mkimg.extra/': '' })).toBe(text`
      /project/mkosi.conf: warning: mkosi.conf does not count, because mkimg.extra is there: a directory has either names with mkimg. or names with mkosi.
        hint: Rename mkimg.extra, or mkosi.conf and all that belongs to it.
    `);
    expect(await report({ 'mkosi.conf': '', 'mkimg.conf': '' })).toBe('');
  });

  it('bad-environment-line', async () => {
    expect(await report({ 'mkimg.conf': '', 'mkimg.env': 'A=1\n two words\n' })).toBe(text`
      /project/mkimg.env:2:2: error: this is not NAME=VALUE
           two words
           ~~~~~~~~~
    `);
  });

  it('no-configuration', async () => {
    expect(await report({ README: '' })).toBe(text`
      error: no configuration found in /project
        hint: Run 'mkimg init' to write one, or name another directory with -C.
    `);
  });
});

describe('the form of a diagnostic', () => {
  const span = { file: hostPath('/p/mkimg.conf'), line: 2, column: 3, length: 99 };

  it('keeps the squiggle within the line and names related places', () => {
    const shown = formatDiagnostics(
      [
        {
          severity: 'error',
          code: 'x',
          message: 'no',
          origin: { kind: 'file', span },
          related: [{ message: 'see', origin: { kind: 'path', path: hostPath('/p/y') } }],
        },
      ],
      () => 'one\ntwo\n',
    );
    expect(shown).toBe('/p/mkimg.conf:2:3: error: no\n    two\n      ~\n/p/y: note: see\n');
  });

  it('leaves the line out when the file is gone', () => {
    const shown = formatDiagnostics(
      [{ severity: 'error', code: 'x', message: 'no', origin: { kind: 'file', span } }],
      () => undefined,
    );
    expect(shown).toBe('/p/mkimg.conf:2:3: error: no\n');
  });
});
