import { stepConditions, stepSettings, testSettings } from './settings.ts';

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
