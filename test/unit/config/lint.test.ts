import { describe, expect, it } from 'vitest';
import { formatDiagnostics } from '../../../src/cli/diagnostics.ts';
import { findingsJson, findingsText } from '../../../src/cli/lint.ts';
import type { Diagnostic } from '../../../src/base/diagnostic.ts';
import { lintProject } from '../../../src/config/lint.ts';
import { loadProject } from '../../../src/config/project.ts';
import { memoryFiles, memoryProject } from '../../helpers/memory-files.ts';

async function findings(content: Readonly<Record<string, string>>): Promise<readonly Diagnostic[]> {
  const loaded = await loadProject(memoryProject(content));
  if (!loaded.ok) throw new Error(formatDiagnostics(loaded.diagnostics, () => undefined));
  return lintProject(loaded.value, memoryFiles(content));
}

async function lint(content: Readonly<Record<string, string>>): Promise<string> {
  const files = memoryFiles(content);
  return formatDiagnostics(await findings(content), (path) => files.read(path));
}

const codes = async (content: Readonly<Record<string, string>>): Promise<readonly string[]> =>
  (await findings(content)).map(({ code }) => code);

describe('the linter', () => {
  it('has nothing to say against a plain project, defaults that are written out included', async () => {
    expect(
      await codes({
        'mkimg.conf':
          '[Distribution]\nDistribution=debian\n[Output]\nFormat=disk\n[Content]\nPackages=vim acl\n',
        'mkimg.conf.d/10.conf': '[Match]\nRelease=|trixie\nRelease=|sid\n[Content]\nPackages=git\n',
        'mkimg.profiles/one.conf':
          '[Match]\nDistribution=!fedora\nDistribution=!arch\n[Content]\nPackages=x\n',
        'mkimg.profiles/README': 'text',
      }),
    ).toEqual([]);
  });

  it('finds settings of a tools tree that is not there', async () => {
    const packages = '[Build]\nToolsTreePackages=strace\n';
    expect(await lint({ 'mkimg.conf': packages }))
      .toBe(`/project/mkimg.conf:2:19: warning: ToolsTreePackages= has no effect: it describes the tools tree of ToolsTree=default, and ToolsTree= says something else
    ToolsTreePackages=strace
                      ~~~~~~
  hint: Add ToolsTree=default to [Build], or remove this line.
`);
    expect(await codes({ 'mkimg.conf': `${packages}ToolsTree=default\n` })).toEqual([]);
    expect(await codes({ 'mkimg.conf': '[Build]\nToolsTreeCertificates=no\n' })).toEqual([]);
  });

  it('finds lines that another line of their file overrides', async () => {
    const content = {
      'mkimg.conf': '[Content]\nHostname=one\nHostname=two\nPackages=vim\nPackages=\nPackages=acl\n',
      'mkimg.conf.d/10.conf': '[Content]\nHostname=three\n',
    };
    // Between files it is the point of layers.
    expect(await lint(content))
      .toBe(`/project/mkimg.conf:4:10: warning: this line has no effect: another line of the file decides Packages=
    Packages=vim
             ~~~
/project/mkimg.conf:5:1: note: this one
    Packages=
    ~~~~~~~~~
  hint: Remove one of them.
`);
    expect(await codes({ 'mkimg.conf': content['mkimg.conf'] })).toEqual([
      'overridden-in-file',
      'overridden-in-file',
    ]);
  });

  it('finds removals that remove nothing, and items that come twice', async () => {
    const content = {
      'mkimg.conf': '[Content]\nPackages=!nano vim\nKernelCommandLine=a a\n',
      'mkimg.conf.d/10.conf': '[Content]\nPackages=vim\n',
    };
    expect(await lint(content))
      .toBe(`/project/mkimg.conf:2:10: warning: there is no 'nano' in Packages= to take back
    Packages=!nano vim
             ~~~~~
  hint: Remove it, or move it below the line that adds the item.
/project/mkimg.conf.d/10.conf:2:10: warning: 'vim' comes twice in Packages=
    Packages=vim
             ~~~
/project/mkimg.conf:2:16: note: 'vim' is here as well
    Packages=!nano vim
                   ~~~
  hint: Remove one.
`);
  });

  it('lets parts that can be used without each other name the same item', async () => {
    const packages = '[Content]\nPackages=git\n';
    const parts = {
      'mkimg.conf': `[Config]\nProfiles=one\nInclude=part part2.conf\n`,
      'part/mkimg.conf': packages,
      'part2.conf': packages,
      'mkimg.profiles/one.conf': packages,
      'mkimg.conf.d/10.conf': `[Match]\nDistribution=|debian\n${packages}`,
      'mkimg.conf.d/20.conf': `[Match]\nRelease=!sid\n${packages}`,
    };
    expect(await codes(parts)).toEqual([]);
    expect(await codes({ ...parts, 'part/mkimg.conf.d/x.conf': packages })).toEqual(['repeated-item']);
    // The files with conditions say nothing new.
    expect(await codes({ ...parts, 'mkimg.conf.d/00.conf': packages })).toEqual([
      'repeated-item',
      'repeated-item',
    ]);
  });

  it('finds files beside drop-ins that nothing reads, but not scripts that a file names', async () => {
    const content = {
      'mkimg.conf': '[Content]\nPackages=vim\n',
      'mkimg.conf.d/10.conf': '[Content]\nBuildScripts=mkimg.conf.d/10.sh\n',
      'mkimg.conf.d/10.sh': '#!/bin/sh\n',
      'mkimg.conf.d/20.conf': '[Match]\nRelease=sid\n[Content]\nBuildScripts=mkimg.conf.d/20.sh\n',
      'mkimg.conf.d/20.sh': '#!/bin/sh\n',
    };
    expect(await codes(content)).toEqual([]);
    expect(await lint({ ...content, 'mkimg.conf.d/30.cnf': '' })).toContain(
      '/project/mkimg.conf.d/30.cnf: warning: nothing reads this file: files of mkimg.conf.d/ end in .conf',
    );
  });

  it('finds conditions that can never hold', async () => {
    const text = await lint({
      'mkimg.conf': '[Content]\nHostname=x\n',
      'mkimg.conf.d/10.conf': '[Match]\nDistribution=debian\nDistribution=fedora\n',
      'mkimg.conf.d/20.conf': '[Match]\nPathExists=/a\nPathExists=!/a\n',
      'mkimg.conf.d/30/mkimg.conf': '[Match]\nDistribution=debian\n',
      'mkimg.conf.d/30/mkimg.conf.d/x.conf': '[Match]\nDistribution=arch\n',
      'mkimg.conf.d/40.conf': '[Match]\nImage=mainn\n',
      'mkimg.conf.d/50.conf':
        '[Match]\nArchitecture=uefi\nArchitecture=arm64\nPathExists=/a\nPathExists=/b\n',
    });
    expect(text)
      .toContain(`/project/mkimg.conf.d/10.conf:3:14: warning: the file never counts: Distribution=fedora contradicts Distribution=debian
    Distribution=fedora
                 ~~~~~~
/project/mkimg.conf.d/10.conf:2:14: note: this condition must hold as well
    Distribution=debian
                 ~~~~~~
  hint: To ask for one of several values, write Distribution=|VALUE for each.
`);
    expect(text).toContain(
      '20.conf:3:12: warning: the file never counts: PathExists=!/a contradicts PathExists=/a',
    );
    expect(text).toContain(
      'x.conf:2:14: warning: the file never counts: Distribution=arch contradicts Distribution=debian',
    );
    expect(text).toContain("40.conf:2:7: warning: the file never counts: the project has no image 'mainn'");
    expect(text).toContain("hint: Did you mean 'main'?");
    expect(text).not.toContain('50.conf');
  });

  it('looks into files that do not count', async () => {
    const content = {
      'mkimg.conf': '',
      'mkimg.conf.d/10.conf': '[Match]\nDistribution=fedora\n[Content]\nPackges=vim\n[Outptu]\n',
      'mkimg.profiles/off.conf': '[Output]\nPackages=vim\n',
    };
    expect(await codes(content)).toEqual(['unknown-setting', 'unknown-section', 'wrong-section']);
  });

  it('judges files of profiles that are off by the prefix of their project', async () => {
    const text = '[Content]\nFormat=tar\n';
    const found = await findings({
      'mkosi.conf': '[Content]\nPackages=vim\n',
      'mkosi.profiles/one.conf': text,
      'mkosi.profiles/two/mkosi.conf.d/10.conf': text,
    });
    expect(found.map(({ severity, code }) => `${severity} ${code}`)).toEqual([
      'warning wrong-section',
      'warning wrong-section',
    ]);
  });

  it('finds files that nothing reads', async () => {
    expect(await lint({ 'mkimg.conf': '', 'mkimg.conf.d/10-net.cfg': '', 'mkimg.conf.d/10.conf~': '' })).toBe(
      `/project/mkimg.conf.d/10-net.cfg: warning: nothing reads this file: files of mkimg.conf.d/ end in .conf
  hint: Rename it to 10-net.conf, or remove it.
`,
    );
  });

  it('says a fault of a file that several images include once', async () => {
    const content = {
      'mkimg.conf': '[Include]\nInclude=shared.conf\n',
      'shared.conf': '[Content]\nHostname=a\nHostname=b\n',
      'mkimg.images/sub.conf': '[Include]\nInclude=shared.conf\n',
    };
    expect(await codes(content)).toEqual(['overridden-in-file']);
  });
});

describe('findings', () => {
  const fault: Diagnostic = {
    severity: 'warning',
    code: 'x',
    message: 'm',
    origin: { kind: 'flag', text: '--y' },
  };

  it('are counted', () => {
    expect(findingsText([])).toBe('Nothing to say against this configuration.');
    expect(findingsText([{ ...fault, severity: 'error' }, fault, fault])).toMatch(/\n1 error, 2 warnings$/);
  });

  it('are told with their places as JSON', () => {
    expect(JSON.parse(findingsJson([fault]))).toEqual({
      findings: [{ severity: 'warning', code: 'x', message: 'm', place: '--y' }],
    });
  });
});
