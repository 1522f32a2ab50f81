import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { summaryJson } from '../../../src/cli/summary.ts';
import type { ParseContext } from '../../../src/config/codec.ts';
import { loadProject } from '../../../src/config/project.ts';
import { configurationSchema } from '../../../src/config/schema.ts';
import { settingRows } from '../../../src/config/settings/table.ts';
import { tracedWhole } from '../../../src/config/traced-text.ts';
import { memoryFiles, memoryProject } from '../../helpers/memory-files.ts';

const ajv = new Ajv2020({ strict: true, strictTuples: false, allowUnionTypes: true, allErrors: true });
ajv.addFormat('regex', true);
const validate = ajv.compile(configurationSchema() as object);

async function faultsOf(files: Readonly<Record<string, string>>, origin = false): Promise<unknown> {
  const loaded = await loadProject(memoryProject(files));
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  validate(JSON.parse(summaryJson(loaded.value, { origin, revealSecrets: false })));
  return validate.errors ?? [];
}

describe('the form of boot tests', () => {
  const schema = configurationSchema() as { $defs: { test: object } };
  const isTest = ajv.compile(schema.$defs.test);

  it.each<readonly [boolean, object]>([
    [
      true,
      {
        Test: { Timeout: 60 },
        Runtime: { RAM: 2 ** 30 },
        Step: [{ Boot: 'up' }, { Command: 'true', ExitStatus: 1 }],
      },
    ],
    [true, { Step: [{ File: '/etc/os-release', Json: [{ Path: '$.a', Value: 1 }] }] }],
    [false, { Step: [{ Boot: 'up', Command: 'true' }] }],
    [false, { Step: [{ Timeout: 3 }] }],
    [false, { Step: [{ Boot: 'soon' }] }],
    [false, { Runtime: { Packages: [] } }],
  ])('%s: %j', (holds, test) => {
    expect(isTest(test), JSON.stringify(isTest.errors)).toBe(holds);
  });
});

describe('the schema of the configuration', () => {
  it('holds for a project in which nothing is set', async () => {
    expect(await faultsOf({ 'mkimg.conf': '' })).toEqual([]);
  });

  it('holds for a project with values of many kinds, and with their origins', async () => {
    const files = {
      'mkimg.conf': `[Distribution]
Release=trixie
Repositories=main contrib
[Output]
Format=disk
ImageId=box
ImageVersion=1.2
SectorSize=4096
SplitArtifacts=uki
[Content]
Packages=vim
Bootable=auto
RootPassword=hashed:x
[Build]
Environment=A=1 B=2
[Runtime]
RAM=2G
CPUs=2
Credentials=one=1
Drives=scratch:2G
`,
      'mkimg.extra/etc/motd': 'hello',
    };
    expect(await faultsOf(files)).toEqual([]);
    expect(await faultsOf(files, true)).toEqual([]);
  });

  it('refuses what the summary never prints', () => {
    expect(validate({ Images: [] })).toBe(false);
    expect(validate({ Images: [{ Image: 'main' }], Tools: null })).toBe(false);
    expect(validate({ Images: [], Tools: null, More: 1 })).toBe(false);
  });

  const context: ParseContext = {
    directory: hostPath('/project'),
    files: memoryFiles({}),
    environment: {},
  };

  it.each(settingRows.map((row) => [row.name, row.setting.codec] as const))(
    'accepts each choice of %s=, and nothing of another type',
    (_name, codec) => {
      const holds = ajv.compile(codec.schema as object);
      for (const choice of codec.choices ?? []) {
        const parsed = codec.parse(tracedWhole(choice, { kind: 'default' }), context);
        if (!parsed.ok) throw new Error(choice);
        expect(holds(codec.json(codec.collect(parsed.value.map(({ value }) => value)))), choice).toBe(true);
      }
      expect([{ 'not a': 1 }, ['not', 1], 1.5].every((value) => holds(value))).toBe(false);
    },
  );
});
