import { describe, expect, it } from 'vitest';
import type { Purpose } from '../../../src/config/buildable.ts';
import {
  buildable,
  settingsWithoutEffect,
  unsupportedInProject,
  unsupportedValues,
} from '../../../src/config/buildable.ts';
import type { ResolvedImage } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import { settingRows } from '../../../src/config/settings/table.ts';
import { memoryProject } from '../../helpers/memory-files.ts';

async function image(text: string): Promise<ResolvedImage> {
  const loaded = await loadProject(memoryProject({ 'mkimg.conf': text }));
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  return loaded.value.main;
}

async function refused(text: string, purpose: Purpose): Promise<readonly string[]> {
  return unsupportedValues(await image(text), purpose).map(({ code, message, origin }) => {
    const place = origin?.kind === 'file' ? `${origin.span.line}:${origin.span.column}` : origin?.kind;
    return `${code} at ${place}: ${message}`;
  });
}

const all = `[Distribution]
Distribution=fedora
Architecture=riscv32
[Output]
Format=oci
SplitArtifacts=uki,
    roothash
[Content]
Bootloader=grub
[Runtime]
RuntimeNetwork=interface
`;

describe('values without an effect', () => {
  it('can be read and shown, and are refused at their places when a build is planned', async () => {
    expect((await image(all)).config.Format).toBe('oci');
    expect(await refused(all, 'build')).toEqual([
      'unsupported-value at 3:14: Architecture=riscv32 is not supported yet',
      'unsupported-value at 2:14: Distribution=fedora is not supported yet',
      'unsupported-value at 5:8: Format=oci is not supported yet',
      'unsupported-value at 7:5: SplitArtifacts=roothash is not supported yet',
      'unsupported-value at 9:12: Bootloader=grub is not supported yet',
    ]);
  });

  it('of the section [Runtime] are refused when the image is run', async () => {
    expect(await refused('[Runtime]\nVirtualMachineMonitor=vmspawn\n', 'build')).toEqual([]);
    expect(await refused('[Runtime]\nVirtualMachineMonitor=vmspawn\n', 'run')).toEqual([
      'unsupported-value at 2:23: VirtualMachineMonitor=vmspawn is not supported yet',
    ]);
  });

  it('that one image hands down to others are told once, at their line', async () => {
    const loaded = await loadProject(
      memoryProject({
        'mkimg.conf': '[Distribution]\nDistribution=fedora\n',
        'mkimg.images/one/mkimg.conf': '[Output]\nFormat=tar\n',
        'mkimg.images/two/mkimg.conf': '[Output]\nFormat=oci\n',
      }),
    );
    if (!loaded.ok) throw new Error('refused');
    const { images } = loaded.value;
    const messages = (chosen: readonly ResolvedImage[]): readonly string[] =>
      unsupportedInProject(chosen, 'build').map(({ message, origin }) => `${origin?.kind}: ${message}`);
    expect(messages(images)).toEqual([
      'file: Format=oci is not supported yet',
      'file: Distribution=fedora is not supported yet',
    ]);
    expect(messages(images.filter(({ name }) => name === 'one'))).toEqual([
      'inherited: Distribution=fedora is not supported yet',
    ]);
  });

  it('do not get to the planner', async () => {
    const { config } = await image('[Output]\nFormat=tar\n');
    expect(buildable(config)).toBe(config);
    const other = (await image('[Output]\nFormat=oci\n')).config;
    expect(() => buildable(other)).toThrow('internal: Format=oci');
  });
});

describe('settings without an effect', () => {
  it('are named if somebody set them to something else than the default', async () => {
    const later = settingRows.filter(({ setting }) => setting.effect === 'later');
    const row = later.find(({ setting: { codec } }) => codec.kind === 'boolean');
    if (row === undefined) return;
    const { section, name, setting } = row;
    const line = async (value: boolean): Promise<readonly string[]> =>
      settingsWithoutEffect(await image(`[${section}]\n${name}=${setting.codec.show(value)}\n`));
    expect([...(await line(true)), ...(await line(false))]).toEqual([name]);
    expect(settingsWithoutEffect(await image(''))).toEqual([]);
  });
});
