import type { Json } from '../base/canonical.ts';
import type { SettingName, SettingRow } from './settings/table.ts';
import { settingRows } from './settings/table.ts';

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
    $defs: { image: imageSchema() },
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
