import { describe, expect, it } from 'vitest';
import { filesText, withoutSecrets } from '../../../src/cli/cat-config.ts';
import { explanationJson, explanationText } from '../../../src/cli/explain.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { explainSetting } from '../../../src/config/explanation.ts';
import type { Project } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import type { SettingName } from '../../../src/config/settings/table.ts';
import { settingRow } from '../../../src/config/settings/table.ts';
import { memoryFiles, memoryProject } from '../../helpers/memory-files.ts';

const files = {
  'mkimg.conf': `[Distribution]
Distribution=debian
Release=trixie
[Content]
Packages=vim
  acl nano
RootPassword=swamp
Packages=!nano
Hostname=one
[Build]
Environment=A=1 B=2
Environment=A=3
`,
  'mkimg.local.conf': '[Content]\nHostname=mine\n',
  'mkimg.conf.d/10-two.conf': '[Content]\nHostname=two\n',
  'mkimg.conf.d/20-fedora.conf':
    '[Match]\nDistribution=fedora\nRelease=|43\nRelease=|44\n[Content]\nPackages=dnf\nRootPassword=frog\n',
  'mkimg.conf.d/30-whole/mkimg.conf': '[Match]\nDistribution=!debian\n',
  'mkimg.conf.d/30-whole/mkimg.conf.d/more.conf': '[Content]\nPackages=\n',
  'mkimg.profiles/debug.conf': '[Content]\nPackages=strace\n',
  'mkimg.images/sub/mkimg.conf': '[Content]\nPackages=busybox\n',
};

async function load(flags: Readonly<Record<string, string>> = {}): Promise<Project> {
  const loaded = await loadProject(memoryProject(files, flags));
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  return loaded.value;
}

interface Wanted {
  readonly image?: string;
  readonly flags?: Readonly<Record<string, string>>;
  readonly revealSecrets?: boolean;
  readonly form?: typeof explanationText;
}

async function explain(name: SettingName, wanted: Wanted = {}): Promise<string> {
  const { image = 'main', flags, revealSecrets = false, form = explanationText } = wanted;
  const found = (await load(flags)).images.find((known) => known.name === image);
  if (found === undefined) throw new Error(`no image ${image}`);
  return form(explainSetting(found, settingRow(name), memoryFiles(files)), { revealSecrets });
}

describe('the explanation of a setting', () => {
  it('tells of lists: items, removals, and files that do not count with the reason', async () => {
    expect(await explain('Packages')).toBe(`Packages= of image main: Packages to install

  acl  (/project/mkimg.conf:6:3)
  vim  (/project/mkimg.conf:5:10)

Assignments, in the order of reading:
  /project/mkimg.conf:5:10: vim acl nano [overridden in part by /project/mkimg.conf:8:10]
  /project/mkimg.conf:8:10: !nano

In files that do not count:
  /project/mkimg.conf.d/20-fedora.conf:6:10: dnf
    [Match] Distribution=fedora does not hold: it is 'debian' (/project/mkimg.conf.d/20-fedora.conf:2:14)
    [Match] Release=|43 does not hold: it is 'trixie' (/project/mkimg.conf.d/20-fedora.conf:3:9)
    [Match] Release=|44 does not hold: it is 'trixie' (/project/mkimg.conf.d/20-fedora.conf:4:9)
  /project/mkimg.conf.d/30-whole/mkimg.conf.d/more.conf:2:1: cleared
    [Match] Distribution=!debian does not hold: it is 'debian' (/project/mkimg.conf.d/30-whole/mkimg.conf:2:14)
  /project/mkimg.profiles/debug.conf:2:10: strace
    profile 'debug' is not on

Default: (empty)
Holds for: the image that sets it`);
  });

  it('tells of scalars which assignment decides', async () => {
    const text = await explain('Hostname');
    expect(text).toContain('  mine  (/project/mkimg.local.conf:2:10)');
    expect(text).toContain('/project/mkimg.local.conf:2:10 (local): mine\n');
    expect(text).toContain('/project/mkimg.conf:9:10: one [overridden by /project/mkimg.local.conf:2:10]');
    expect(await explain('Hostname', { flags: { Hostname: 'flag' } })).toContain(
      '(local): mine [overridden by --Hostname=flag]',
    );
  });

  it('tells of dictionaries which key has which place', async () => {
    const text = await explain('Environment');
    expect(text).toContain('A=3  (/project/mkimg.conf:12:13)');
    expect(text).toContain(':11:13: A=1 B=2 [overridden in part by /project/mkimg.conf:12:13]');
  });

  it('tells what an empty assignment drops', async () => {
    const text = await explain('Packages', { flags: { Packages: '' } });
    expect(text).toContain('\n  (empty)  (');
    expect(text).toContain('vim acl nano [overridden by --Packages=]');
  });

  it('tells where inherited values come from', async () => {
    const text = await explain('Release', { image: 'sub' });
    expect(text).toContain("  trixie  (image 'main')");
    expect(text).toContain("  image 'main' (/project/mkimg.conf:3:9): trixie, to start from");
    expect(text).toMatch(/^Default: bookworm, which follows from Distribution=$/m);
  });

  it('keeps secrets, also those of files that do not count', async () => {
    for (const form of [explanationText, explanationJson]) {
      expect(await explain('RootPassword', { form })).not.toMatch(/swamp|frog/);
      const revealed = await explain('RootPassword', { form, revealSecrets: true });
      expect(revealed).toMatch(/swamp/);
      expect(revealed).toMatch(/frog/);
    }
  });

  it('is one JSON document', async () => {
    const document: unknown = JSON.parse(await explain('Hostname', { form: explanationJson }));
    expect(document).toMatchObject({
      image: 'main',
      setting: 'Hostname',
      value: 'mine',
      default: null,
      assignments: [
        { layer: 'local', effect: 'counts' },
        { layer: 'files', text: 'one', effect: 'overridden', overriddenBy: '/project/mkimg.local.conf:2:10' },
        { layer: 'files', text: 'two', effect: 'overridden' },
      ],
    });
  });
});

describe('cat-config', () => {
  it('prints the files that count, in order', async () => {
    const { images } = await load();
    const text = filesText(images, (path) => memoryFiles(files).read(path));
    const headings = text.split('\n').filter((line) => line.startsWith('##'));
    expect(headings).toEqual([
      '## Image sub',
      '### /project/mkimg.images/sub/mkimg.conf',
      '## Image main',
      '### /project/mkimg.conf',
      '### /project/mkimg.local.conf',
      '### /project/mkimg.conf.d/10-two.conf',
    ]);
  });

  it('keeps secrets, and all else as it is', () => {
    const text =
      '# A\n[Content]\nRootPassword = a\n  b   # c\nHostname=x # y\n[Runtime]\nCredentials=one=1\n    two=2\n';
    expect(withoutSecrets(hostPath('/x.conf'), text)).toBe(
      '# A\n[Content]\nRootPassword=***\nHostname=x # y\n[Runtime]\nCredentials=***\n',
    );
  });
});
