import type { Codec } from '../codec.ts';
import { list } from '../codecs/collections.ts';
import { imagePath, path } from '../codecs/paths.ts';
import { enumeration, fileName, integer, text } from '../codecs/scalars.ts';
import { expression, jsonExpectations, keys, resultName, timeSpan } from './codecs.ts';

/** A setting of a test file. */
export interface TestSetting<V> {
  readonly codec: Codec<V>;
  /** What a [Step] does; each has exactly one of these. */
  readonly action?: true;
  /** One line for the manual. */
  readonly summary: string;
  /** What the manual says; Markdown. */
  readonly doc: string;
}

function setting<V>(definition: TestSetting<V>): TestSetting<V> {
  return definition;
}

/** Settings of [Test]. */
export const testSettings = {
  Description: setting({
    codec: text,
    summary: 'What the test shows, in a few words',
    doc: 'Stands in lists and reports.',
  }),
  Timeout: setting({
    codec: timeSpan,
    summary: 'How long the whole test may take',
    doc: `5min when it is not set. It holds for a machine with KVM; where the machine is emulated it is multiplied by how much
slower the emulator was found to be just before, and by two at least. \`--timeout=\` of the command line is taken as it is.`,
  }),
} as const;

/** Settings of [Step]. */
export const stepSettings = {
  Boot: setting({
    codec: enumeration(['up', 'degraded', 'started']),
    action: true,
    summary: 'Start the machine and wait until the system has come up',
    doc: `\`up\`: systemd says that all is well, and no unit failed. \`degraded\`: units may fail. \`started\`: nothing is waited for.
A test whose first step is another one begins with \`Boot=up\`.`,
  }),
  WaitForUnit: setting({
    codec: list,
    action: true,
    summary: 'Wait until these units are active',
    doc: 'Names with their endings (`sshd.service`). The step fails at once when one of them has failed.',
  }),
  Command: setting({
    codec: text,
    action: true,
    summary: 'Run shell commands as root in the guest',
    doc: `Indented lines go on with it. Its exit status must be \`ExitStatus=\`, and its standard output what \`Equals=\`, \`Matches=\`
and \`Json=\` say. Programs that it leaves in the background must not keep its output open.`,
  }),
  Script: setting({
    codec: path({ mustExist: true }),
    action: true,
    summary: 'Run a script of the project as root in the guest',
    doc: `Text of at most 64 KiB, run by the program that its first line names (\`#!\`), or by /bin/sh. It is judged as \`Command=\` is.`,
  }),
  File: setting({
    codec: imagePath,
    action: true,
    summary: 'Look at a file of the guest',
    doc: 'It must be there, and its content must be what `Equals=`, `Matches=` and `Json=` say.',
  }),
  Port: setting({
    codec: integer({ minimum: 1, maximum: 65_535 }),
    action: true,
    summary: 'Connect from the host to a TCP port of the guest',
    doc: `Waits until a connection stands; with \`Equals=\` or \`Matches=\`, until the guest has sent that. \`Send=\` is sent first. Needs
\`RuntimeNetwork=user\`, and a guest that asks for an address by DHCP.`,
  }),
  Console: setting({
    codec: expression,
    action: true,
    summary: 'Wait for a line on the serial console',
    doc: 'Lines count from the start of the machine, or from behind the line that the last such step found.',
  }),
  Type: setting({
    codec: text,
    action: true,
    summary: 'Type on the serial console',
    doc: 'Each line is followed by Enter.',
  }),
  Keys: setting({
    codec: keys,
    action: true,
    summary: 'Press keys of the keyboard',
    doc: "QEMU's names of keys, one after the other; `-` joins those that are pressed together: `tab ctrl-alt-f2 ret`.",
  }),
  Screenshot: setting({
    codec: resultName,
    action: true,
    summary: "Keep what the machine's screen shows",
    doc: '`NAME` becomes NAME.png among the results.',
  }),
  Power: setting({
    codec: enumeration(['reboot', 'off', 'cut']),
    action: true,
    summary: 'Restart the guest, switch it off, or cut its power',
    doc: `\`reboot\`: the guest restarts in good order and must come up as \`Boot=\` asked. \`off\`: it switches itself off. \`cut\`: it is gone at
once, and what it had not written is lost. After \`off\` and \`cut\` another \`Boot=\` starts it from the same disks.`,
  }),
  Unplug: setting({
    codec: fileName,
    action: true,
    summary: 'Take a disk out of the running machine',
    doc: 'The id of a disk of `Drives=`. Such a disk is a SCSI disk in this test.',
  }),
  ExitStatus: setting({
    codec: integer({ maximum: 255 }),
    summary: 'Exit status that a command or script must have',
    doc: '0 when it is not set.',
  }),
  Equals: setting({
    codec: text,
    summary: 'What the output or content must be',
    doc: 'Indented lines go on with it. Newlines at the end do not count.',
  }),
  Matches: setting({
    codec: expression,
    summary: 'A regular expression that the output or content must match',
    doc: 'In the syntax of JavaScript; `^` and `$` are the ends of lines.',
  }),
  Json: setting({
    codec: jsonExpectations,
    summary: 'A member of the output or content, which is JSON, and its value',
    doc: `\`$.units[0].name="a.service"\`: a path with names and indices, and a value in JSON; what is no JSON is text. Can be given
several times.`,
  }),
  Send: setting({
    codec: text,
    summary: 'What is sent to a port first',
    doc: `As it is written, with \`\\r\`, \`\\n\`, \`\\t\` and \`\\\\\` for what cannot be: \`Send=GET / HTTP/1.0\\r\\n\\r\\n\`.`,
  }),
  Image: setting({
    codec: fileName,
    summary: 'Another image of the project to boot',
    doc: `With \`Boot=\`: the machine starts from this image, and has the disks that it had before behind it, with all that was
written to them. The image must have \`Format=disk\` and must have been built.`,
  }),
  Drive: setting({
    codec: fileName,
    summary: 'A disk to boot from',
    doc: 'With `Boot=`: the id of a disk of `Drives=`, which an earlier step has installed a system on. The image is not in the machine then.',
  }),
  Timeout: setting({
    codec: timeSpan,
    summary: 'How long the step may take',
    doc: 'What is left of the time of the test when it is not set; multiplied as that is where the machine is emulated.',
  }),
} as const;

export type TestSettingName = keyof typeof testSettings;
export type StepSettingName = keyof typeof stepSettings;

type ValueOf<S> = S extends TestSetting<infer V> ? V : never;
export type TestValues = { readonly [K in TestSettingName]?: ValueOf<(typeof testSettings)[K]> };
export type StepValues = { readonly [K in StepSettingName]?: ValueOf<(typeof stepSettings)[K]> };

/** Settings that do something. */
export type StepAction = {
  [K in StepSettingName]: (typeof stepSettings)[K] extends { readonly action?: true } ? K : never;
}[StepSettingName];

const outputs = ['Equals', 'Matches', 'Json'] as const;

/** What belongs to each action, besides Timeout=. */
export const stepConditions: Readonly<Record<string, readonly StepSettingName[]>> = {
  Boot: ['Image', 'Drive'],
  Command: ['ExitStatus', ...outputs],
  Script: ['ExitStatus', ...outputs],
  File: outputs,
  Port: ['Send', 'Equals', 'Matches'],
};

/** Sections of a test file, with their settings; [Runtime] has those of the settings' table. */
export const testSections = { Test: testSettings, Step: stepSettings } as const;
