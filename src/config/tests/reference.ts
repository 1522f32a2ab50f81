import { stepConditions, stepSettings, testSections, testSettings } from './settings.ts';

/** What the reference needs of a setting of any type. */
interface DescribedSetting {
  readonly codec: { readonly kind: string };
  readonly action?: true;
  readonly summary: string;
  readonly doc: string;
}

/** The reference of the settings of test files as Markdown: the end of docs/testing.md. */
export function testSettingsReference(): string {
  const steps = Object.entries<DescribedSetting>(stepSettings);
  const actions = steps.filter(([, { action }]) => action === true);
  const conditions = steps.filter(([, { action }]) => action !== true);
  return [
    '### [Test]\n',
    ...Object.entries<DescribedSetting>(testSettings).map(entry),
    '### [Step]: what it does\n',
    'Each step has exactly one of these.\n',
    ...actions.map(entry),
    '### [Step]: what belongs to it\n',
    ...conditions.map(entry),
  ].join('\n');
}

/** Names of all settings of test files. */
export const testSettingNames: readonly string[] = [
  ...new Set([...Object.keys(testSettings), ...Object.keys(stepSettings)]),
];

/** What the reference says of the settings of test files that have this name; undefined when there is none. */
export function testSettingReference(name: string): string | undefined {
  const sections = Object.entries<Readonly<Record<string, DescribedSetting>>>(testSections);
  const found = sections.flatMap(([section, settings]) => {
    const setting = Object.hasOwn(settings, name) ? settings[name] : undefined;
    return setting === undefined ? [] : [`In tests, [${section}]:\n\n${entry([name, setting])}`];
  });
  return found.length === 0 ? undefined : found.join('\n');
}

function entry([name, { codec, summary, doc }]: readonly [string, DescribedSetting]): string {
  const takers = Object.entries(stepConditions).filter(([, taken]) => taken.some((taker) => taker === name));
  const facts = [
    `* Value: ${codec.kind}`,
    ...(takers.length === 0 ? [] : [`* For: ${takers.map(([taker]) => `\`${taker}=\``).join(', ')}`]),
  ];
  return `#### ${name}=\n\n${summary}.\n\n${facts.join('\n')}\n\n${doc.trim()}\n`;
}

/** Where the reference begins in docs/testing.md. */
export const referenceMark =
  '<!-- The rest is made by `npm run docs` from src/config/tests/settings.ts. -->\n\n';
