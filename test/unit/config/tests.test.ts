import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { imageName } from '../../../src/base/brand.ts';
import { formatDiagnostics } from '../../../src/cli/diagnostics.ts';
import type { BootTestDefinition, Project } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import { withTestSettings } from '../../../src/config/tests/apply.ts';
import { memberAt, secondsOf } from '../../../src/config/tests/codecs.ts';
import { memoryFiles, memoryProject } from '../../helpers/memory-files.ts';

type Files = Readonly<Record<string, string>>;
type Flags = Parameters<typeof memoryProject>[1];

async function load(files: Files, flags: Flags = {}): Promise<Project> {
  const loaded = await loadProject({ ...memoryProject(files, flags), readsTests: true });
  if (!loaded.ok) throw new Error(formatDiagnostics(loaded.diagnostics, () => undefined));
  return loaded.value;
}

/** What is said against a project, as mkimg prints it. */
async function faults(files: Files): Promise<string> {
  const content = { 'mkimg.conf': '', ...files };
  const loaded = await loadProject({ ...memoryProject(content), readsTests: true });
  return formatDiagnostics(loaded.ok ? loaded.warnings : loaded.diagnostics, (path) =>
    memoryFiles(content).read(path),
  );
}

async function test(text: string, more: Files = {}): Promise<BootTestDefinition> {
  const { tests } = await load({ 'mkimg.conf': '', 'mkimg.tests/a.conf': text, ...more });
  const [found] = tests.get(imageName('main')) ?? [];
  if (found === undefined) throw new Error('no test');
  return found;
}

const step = (text: string): string => `[Step]\n${text}\n`;

describe('mkimg.tests/', () => {
  it('holds files and directories, and is not looked at unless it is asked for', async () => {
    const files = {
      'mkimg.conf': '',
      'mkimg.tests/b.conf': '[Test]\nDescription=b is\n',
      'mkimg.tests/a/mkimg.test.conf': step('Script=check.sh'),
      'mkimg.tests/a/check.sh': 'true',
      'mkimg.tests/.hidden.conf': 'x',
      'mkimg.tests/b.conf~': 'x',
      'mkimg.tests/README': 'x',
    };
    const tests = (await load(files)).tests.get(imageName('main')) ?? [];
    expect(tests.map(({ name, description, path }) => [name, description, path])).toEqual([
      ['a', undefined, '/project/mkimg.tests/a/mkimg.test.conf'],
      ['b', 'b is', '/project/mkimg.tests/b.conf'],
    ]);
    const broken = { ...files, 'mkimg.tests/b.conf': '[Nonsense]\nx=y\n' };
    const loaded = await loadProject(memoryProject(broken));
    expect(loaded.ok && [loaded.warnings, loaded.value.tests.size]).toEqual([[], 0]);
  });

  it('belongs to the image in whose directory it is', async () => {
    const { tests } = await load({
      'mkimg.conf': '',
      'mkimg.tests/of-main.conf': '',
      'mkimg.images/one/mkimg.conf': '',
      'mkimg.images/one/mkimg.tests/of-one.conf': '[Runtime]\nRAM=1G\n',
      'mkimg.images/two.conf': '',
    });
    const names = [...tests].map(([image, found]) => [image, found.map(({ name }) => name)]);
    expect(names).toEqual([
      ['one', ['of-one']],
      ['two', []],
      ['main', ['of-main']],
    ]);
  });

  it('has the names of mkosi where the project has', async () => {
    const { tests } = await load({ 'mkosi.conf': '', 'mkosi.tests/a/mkosi.test.conf': '' });
    expect(tests.get(imageName('main'))).toHaveLength(1);
  });
});

describe('a test', () => {
  it('without steps boots the image within five minutes', async () => {
    const { steps, timeout, runtime, failed } = await test('');
    expect(steps).toMatchObject([
      { action: { kind: 'boot', goal: 'up' }, label: 'Boot=up', timeout: undefined },
    ]);
    expect([timeout, runtime.size, failed]).toEqual([300, 0, []]);
  });

  it('has steps in order, each with what it expects', async () => {
    const { steps } = await test(
      [
        step('Boot=degraded\nTimeout=1h 30min'),
        step('Command=\n    set -e\n    echo %%s; false\nExitStatus=1\nEquals=%i\nTimeout=500ms'),
        step('Script=mkimg.tests/check.sh\nJson=$.units[0]["a b"]="x"\nJson=$.count=3'),
        step('File=/etc/../etc//os-release\nMatches=^ID=debian$').replace('/etc/../etc//', '/etc//'),
        step('Port=80\nSend=GET / HTTP/1.0\\r\\n\\\\r\nMatches=200 OK'),
        step('Keys=tab ctrl-alt-f2 enter'),
        step('Power=off'),
        step('Boot=up\nImage=other'),
        step('Unplug=data'),
      ].join('') + '[Runtime]\nDrives=data:1G\n',
      { 'mkimg.tests/check.sh': 'true', 'mkimg.conf': '[Output]\nImageId=it\n' },
    );
    expect(steps.map(({ action }) => action)).toEqual([
      { kind: 'boot', goal: 'degraded' },
      {
        kind: 'run',
        script: { text: 'set -e\necho %s; false\n' },
        exitStatus: 1,
        stdout: { equals: 'it', json: [] },
      },
      {
        kind: 'run',
        script: { file: '/project/mkimg.tests/check.sh' },
        exitStatus: 0,
        stdout: {
          json: [
            { path: '$.units[0]["a b"]', keys: ['units', 0, 'a b'], value: 'x' },
            { path: '$.count', keys: ['count'], value: 3 },
          ],
        },
      },
      { kind: 'file', path: '/etc/os-release', content: { matches: '^ID=debian$', json: [] } },
      { kind: 'port', port: 80, send: 'GET / HTTP/1.0\r\n\\r', received: { matches: '200 OK', json: [] } },
      { kind: 'keys', chords: [['tab'], ['ctrl', 'alt', 'f2'], ['ret']] },
      { kind: 'power', change: 'off' },
      { kind: 'boot', goal: 'up', image: 'other' },
      { kind: 'unplug', drive: 'data' },
    ]);
    expect(steps.map(({ timeout }) => timeout).slice(0, 2)).toEqual([5400, 0.5]);
    expect(steps[1]?.label).toBe('Command=set -e …');
  });

  it('changes the machine for itself alone, below the command line', async () => {
    const files = {
      'mkimg.conf': '[Runtime]\nRAM=1G\nDrives=one:1G\n',
      'mkimg.local.conf': '[Runtime]\nCPUs=7\n',
      'mkimg.tests/a.conf': '[Runtime]\nRAM=4G\nCPUs=2\nDrives=two:1G\nTPM=yes\n',
      'mkimg.tests/b.conf': '',
    };
    const { main, tests } = await load(files, { TPM: 'no' });
    const [a, b] = tests.get(main.name) ?? [];
    if (a === undefined || b === undefined) throw new Error('no tests');
    const { config } = withTestSettings(main, a);
    expect([config.RAM, config.CPUs, config.TPM, config.Drives.map(({ id }) => id)]).toEqual([
      4 * 2 ** 30,
      2,
      false,
      ['one', 'two'],
    ]);
    expect(withTestSettings(main, a).originOf('RAM')).toMatchObject({ kind: 'file', span: { line: 2 } });
    expect([main.config.RAM, withTestSettings(main, b).config.CPUs]).toEqual([2 ** 30, 7]);
  });

  it('counts where its conditions hold', async () => {
    const { failed } = await test('[Match]\nArchitecture=arm64\nImage=main\n');
    expect(failed).toMatchObject([{ key: 'Architecture', wanted: 'arm64' }]);
    expect((await test('[Match]\nImage=main\n')).failed).toEqual([]);
  });
});

describe('a faulty test', () => {
  it('is told of with file, line and column', async () => {
    expect(await faults({ 'mkimg.tests/a.conf': '[Test]\nTimeuot=5min\n[Step]\nComand=x\n[Steps]\n' })).toBe(
      `/project/mkimg.tests/a.conf:5:1: error: a test has no section [Steps]
    [Steps]
    ~~~~~~~
  hint: Did you mean [Step]?
/project/mkimg.tests/a.conf:2:1: error: Timeuot= is not a setting of [Test] in a test
    Timeuot=5min
    ~~~~~~~
  hint: Did you mean 'Timeout'?
/project/mkimg.tests/a.conf:4:1: error: Comand= is not a setting of [Step] in a test
    Comand=x
    ~~~~~~
  hint: Did you mean 'Command'?
`,
    );
  });

  it.each<readonly [string, string]>([
    ['[Step]\n', 'the step does nothing'],
    [step('Boot=up\nKeys=a'), 'Boot= and Keys= are two steps'],
    [step('Keys=a\nEquals=b'), 'Equals= means nothing to a step with Keys='],
    [step('Boot=down'), "'down' is not a known value"],
    [step('Timeout=5 weeks\nBoot=up'), "'5 weeks' is not a time span"],
    [step('Console=('), 'is not a regular expression'],
    [step('Command=x\nJson=units=1'), 'a path in JSON begins with $'],
    [step('Command=x\nJson=$.a[b]=1'), 'is no part of a path'],
    [step('Keys=ctrl-alt-delte'), "'delte' is not a key"],
    [step('Screenshot=../x'), 'is not a name for a file'],
    [step('Script=none.sh'), 'none.sh does not exist'],
    [step('Port=0'), '0 is out of range'],
    [step('File=relative'), 'is not an absolute path'],
    [step('Unplug=data'), "the machine has no disk 'data'"],
    [step('Boot=up\nDrive=data'), "the machine has no disk 'data'"],
    [step('Power=off') + step('Keys=a'), 'no machine runs that could do Keys=a'],
    [step('Boot=up') + step('Boot=up'), 'the machine runs already'],
    ['[Content]\nPackages=vim\n', 'a test has no section [Content]'],
    ['[Runtime]\nPackages=vim\n', 'Packages= belongs to [Content]'],
  ])('%j', async (text, message) => {
    expect(await faults({ 'mkimg.tests/a.conf': text })).toContain(message);
  });

  it('has a name that can be a directory of results, once', async () => {
    expect(await faults({ 'mkimg.tests/a b.conf': '' })).toContain("a test cannot be called 'a b'");
    expect(await faults({ 'mkimg.tests/a.conf': '', 'mkimg.tests/a/mkimg.test.conf': '' })).toContain(
      "there are two tests 'a'",
    );
    expect(await faults({ 'mkimg.tests/a/check.sh': '' })).toContain('has no such file');
  });

  it('is never more than a fault, whatever stands in it', async () => {
    const line = fc.oneof(
      fc.constantFrom(
        '[Step]',
        '[Test]',
        '[Runtime]',
        '[Match]',
        'Boot=up',
        'Power=off',
        'Command=x',
        'Json=$.',
        'Keys=-',
      ),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (lines) => {
        await faults({ 'mkimg.tests/a.conf': lines.join('\n') });
      }),
      { numRuns: 200 },
    );
  });
});

describe('spans of time', () => {
  it.each([
    ['90', 90],
    ['1.5s', 1.5],
    ['2min', 120],
    ['1h 1min 1s', 3661],
    ['250ms', 0.25],
  ] as const)('%s are %s seconds', (text, seconds) => {
    expect(secondsOf(text)).toBe(seconds);
  });

  it.each(['', '0', 'min', '-5', '5 days', '25h', '1e3'])('%j is none', (text) => {
    expect(secondsOf(text)).toBeUndefined();
  });
});

describe('paths in JSON', () => {
  it('lead to what is there, and to nothing that is inherited', () => {
    const document = { a: [{ b: null }], length: 1 };
    expect(memberAt(document, [])).toBe(document);
    expect(memberAt(document, ['a', 0, 'b'])).toBeNull();
    for (const keys of [['a', 1], ['a', 'length'], ['b'], ['toString'], [0], ['length', 0]])
      expect(memberAt(document, keys)).toBeUndefined();
  });
});
