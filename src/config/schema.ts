import type { Json } from '../base/canonical.ts';
import type { SettingName, SettingRow } from './settings/table.ts';
import { settingRows } from './settings/table.ts';
import { stepSettings, testSettings } from './tests/settings.ts';

/**
 * JSON Schema (draft 2020-12) of the resolved configuration, as `mkimg summary --json` shows it with and without
 * `--origin`. All of it follows from the table of settings.
 */
export function configurationSchema(): Json {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Configuration of mkimg',
    description: 'What `mkimg summary --json` prints: the settings that are in effect, image by image.',
    type: 'object',
    properties: {
      Images: {
        description: 'In the order in which they are built; the main image comes last.',
        type: 'array',
        items: { $ref: '#/$defs/image' },
      },
      Tools: {
        description: 'The image of the tools tree, if mkimg makes one.',
        anyOf: [{ $ref: '#/$defs/image' }, { type: 'null' }],
      },
    },
    required: ['Images', 'Tools'],
    additionalProperties: false,
    $defs: { image: imageSchema(), test: testSchema() },
  };
}

function imageSchema(): Json {
  const names = settingRows.map(({ name }) => name);
  return {
    type: 'object',
    properties: {
      Image: { description: "The image's name.", type: 'string' },
      ...Object.fromEntries(settingRows.map((row) => [row.name, settingSchema(row)])),
      Files: {
        description: 'Configuration files that count, in the order in which they were read.',
        type: 'array',
        items: { type: 'string' },
      },
      Origins: {
        description: 'With --origin: where the items of each value that somebody set came from.',
        type: 'object',
        propertyNames: { enum: names },
        additionalProperties: { type: 'array', items: { type: 'string' } },
      },
    },
    required: ['Image', ...names, 'Files'],
    additionalProperties: false,
  };
}

/** What the schema needs of a setting of any type. */
interface DescribedSetting {
  readonly codec: { readonly schema: Json };
  readonly action?: true;
  readonly summary: string;
}

/** What a file of mkimg.tests/ can say, section by section; nothing of the summary refers to it. */
function testSchema(): Json {
  const runtime = settingRows.filter(({ section }) => section === 'Runtime');
  return {
    description: 'A boot test: a file of mkimg.tests/, with its sections as members.',
    type: 'object',
    properties: {
      Test: sectionSchema(testSettings),
      Runtime: {
        type: 'object',
        properties: Object.fromEntries(runtime.map((row) => [row.name, settingSchema(row)])),
        additionalProperties: false,
      },
      Step: { type: 'array', items: stepSchema() },
    },
    additionalProperties: false,
  };
}

/** Each step does exactly one thing. */
function stepSchema(): Json {
  const actions = Object.entries<DescribedSetting>(stepSettings).filter(([, { action }]) => action === true);
  return {
    ...sectionSchema(stepSettings),
    oneOf: actions.map(([name]) => ({ properties: { [name]: {} }, required: [name] })),
  };
}

function sectionSchema(settings: Readonly<Record<string, DescribedSetting>>): {
  readonly [name: string]: Json;
} {
  return {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(settings).map(([name, { codec, summary }]) => [
        name,
        { description: `${summary}.`, allOf: [codec.schema] },
      ]),
    ),
    additionalProperties: false,
  };
}

/** The summary shows null for their defaults, as mkosi does. */
const nullByDefault: ReadonlySet<SettingName> = new Set<SettingName>(['OutputDirectory', 'ToolsTree']);

function settingSchema({ name, setting, section }: SettingRow): Json {
  const { schema } = setting.codec;
  return {
    description: `${setting.summary} ([${section}]).`,
    ...(setting.optional === true || nullByDefault.has(name)
      ? { anyOf: [schema, { type: 'null' }] }
      : { allOf: [schema] }),
  };
}
