import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ImageName } from '../../src/base/brand.ts';
import { hostPath, imageName } from '../../src/base/brand.ts';
import { sha256 } from '../../src/base/canonical.ts';
import type { CommandLineAssignment, ResolvedImage } from '../../src/config/project.ts';
import { loadBuiltinImage, loadProject } from '../../src/config/project.ts';
import { debianRepositories } from '../../src/distro/apt-sources.ts';
import type { ArchitectureName } from '../../src/distro/architectures/index.ts';
import type { EmulatorChoice } from '../../src/plan/emulators.ts';
import type { PlanFacts } from '../../src/plan/image.ts';
import { needsDefaultInitrd, planProject } from '../../src/plan/project.ts';
import type { Plan } from '../../src/plan/step.ts';

const root = resolve(import.meta.dirname, '../..');
const host = { architecture: 'x86-64', distribution: 'debian', codename: 'trixie' } as const;

/** Facts of a machine that never changes. */
const facts: PlanFacts = {
  repositoriesOf: (config) => ({
    kind: 'apt',
    repositories: debianRepositories({
      release: config.Release,
      components: ['main'],
      keyring: { $host: hostPath('/keyring.gpg') },
    }),
    checkSignatures: config.RepositoryKeyCheck,
    checkValidUntil: config.CheckValidUntil,
    sandboxTrees: [],
  }),
  secretDigest: (value) => sha256(value),
  randomUuid: () => '11111111-2222-4333-8444-555555555555',
  buildArguments: [],
  volatileDirectories: [],
  configJson: () => '{}',
};

async function planOf(
  project: string,
  flags: readonly string[],
  wanted?: readonly ImageName[],
): Promise<Plan> {
  const assignments: CommandLineAssignment[] = flags.map((flag) => {
    const [setting = '', text = ''] = flag.split('=');
    return { setting, text, flag: `--${flag}` };
  });
  const loaded = await loadProject({ directory: hostPath(join(root, project)), assignments, environment: {}, host });
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  const initrd = loaded.value.images.find(({ name }) => name === 'default-initrd');
  const images = loaded.value.images.filter((image) => image !== initrd);
  const initrds = new Map(
    images.flatMap((image) =>
      initrd !== undefined && needsDefaultInitrd(image.config) ? [[image.name, initrd] as const] : [],
    ),
  );
  const emulators = new Map<ArchitectureName, EmulatorChoice>([
    ['arm64', { kind: 'image', image: await emulatorImage(loaded.value.main) }],
    ['s390x', { kind: 'machine', version: '10.0.13' }],
  ]);
  const tools = { kind: 'host' } as const;
  return planProject({ images, initrds, tools, emulators, facts, ...(wanted && { wanted }) });
}

async function emulatorImage(inherit: ResolvedImage): Promise<ResolvedImage> {
  const result = await loadBuiltinImage({
    ...{ name: 'tools', directory: hostPath(join(root, 'configs/tools')), inherit, environment: {}, host },
    assignments: [{ setting: 'Profiles', text: 'emulator', flag: '--profile=emulator' }],
  });
  if (!result.ok) throw new Error(result.diagnostics.map(({ message }) => message).join('\n'));
  return result.value;
}

/** The plan without what depends on where the clone is, and without the lines that steps come from. */
function portable(plan: Plan): string {
  const withoutOrigins = (key: string, value: unknown): unknown => (key === 'origin' ? undefined : value);
  return `${JSON.stringify(plan, withoutOrigins, 2).replaceAll(root, 'ROOT')}\n`;
}

const images = ['debian', 'minimal'];
const formats = ['disk', 'uki', 'cpio', 'tar', 'directory'];

describe('plans of the images that mkimg brings along', () => {
  for (const image of images) {
    for (const format of formats) {
      it(`${image} as ${format}`, async () => {
        const plan = portable(await planOf(`images/${image}`, [`Format=${format}`, 'Release=trixie']));
        await expect(plan).toMatchFileSnapshot(`plans/${image}-${format}.json`);
      });
    }
  }

  it.each(['arm64', 's390x'])('minimal as a tree of %s', async (name) => {
    const plan = portable(
      await planOf('images/minimal', ['Format=directory', 'Bootable=no', `Architecture=${name}`]),
    );
    await expect(plan).toMatchFileSnapshot(`plans/minimal-directory-${name}.json`);
  });

  for (const release of ['bookworm', 'forky', 'sid']) {
    it(`minimal of ${release}`, async () => {
      const plan = portable(await planOf('images/minimal', [`Release=${release}`]));
      await expect(plan).toMatchFileSnapshot(`plans/minimal-disk-${release}.json`);
    });
  }

  it.each([
    ['s390x', ['linux-image-s390x'], { loader: 'zipl', kinds: ['build-disk'] }],
    ['ppc64-le', ['linux-image-powerpc64le'], { loader: 'grub-ieee1275', kinds: ['build-grub', 'build-disk'] }],
    ['x86-64', ['grub-pc-bin'], { loader: 'grub-pc', kinds: ['build-uki', 'build-grub', 'build-disk'] }],
  ] as const)('starts a disk for %s without UEFI', async (architecture, packages, { loader, kinds }) => {
    const flags = [`Architecture=${architecture}`, ...packages.map((name) => `Packages=${name}`)];
    const { steps } = await planOf('images/minimal', [...flags, 'BiosBootloader=grub']);
    const boot = ['build-uki', 'build-grub', 'install-boot-loader', 'build-disk'];
    const found = steps.filter(({ kind }) => boot.includes(kind));
    const expected = architecture === 'x86-64' ? ['install-boot-loader', ...kinds] : kinds;
    expect(found.map(({ kind }) => kind)).toEqual(expected);
    expect(found.at(-1)?.inputs).toMatchObject({ platformBoot: { loader } });
    // On PCs that is about UEFI alone, and GRUB was not asked for here.
    const none = await planOf('images/minimal', [...flags, 'Bootloader=none']);
    const disk = none.steps.find(({ kind }) => kind === 'build-disk');
    expect(disk?.inputs).not.toHaveProperty('platformBoot');
  });

  it('is the same each time', async () => {
    expect(portable(await planOf('images/debian', []))).toBe(portable(await planOf('images/debian', [])));
  });

  it('names each step once, after those it refers to', async () => {
    const { steps } = await planOf('images/debian', []);
    const seen = new Set<string>();
    for (const step of steps) {
      expect(seen).not.toContain(step.id);
      const references = [...JSON.stringify([step.inputs, step.tools]).matchAll(/"\$ref":"([^"]+)"/g)];
      for (const [, id] of references) expect(seen).toContain(id);
      seen.add(step.id);
    }
  });
});

describe('the plan of a project of several images', () => {
  const project = 'test/golden/shared-base';
  const steps = ({ steps: all }: Plan, image: string): readonly string[] =>
    all.flatMap(({ id }) => (id.startsWith(`${image}/`) ? [id.slice(image.length + 1)] : []));

  it('is one graph', async () => {
    await expect(portable(await planOf(project, []))).toMatchFileSnapshot('plans/shared-base.json');
  });

  it('installs the base once, and builds the others on its tree', async () => {
    const plan = await planOf(project, []);
    expect(steps(plan, 'base')).toContain('install-packages');
    expect(steps(plan, 'web')).toEqual(expect.arrayContaining(['resolve-packages', 'install-packages']));
    expect(steps(plan, 'plain')).not.toContain('install-packages');
    const first = plan.steps.find(({ id }) => id.startsWith('plain/'));
    expect(first?.inputs).toMatchObject({ base: { $ref: 'base/clean-traces', type: 'tree' } });
  });

  it('makes one default initrd for the two that boot', async () => {
    const { steps: all } = await planOf(project, []);
    expect(all.filter(({ id }) => id === 'default-initrd/pack-cpio')).toHaveLength(1);
    const joins = all.filter(({ kind }) => kind === 'join-initrds');
    expect(joins.map(({ id }) => id)).toEqual(['web/join-initrds', 'main/join-initrds']);
    for (const { inputs } of joins)
      expect(inputs).toMatchObject({ segments: [{ $ref: 'default-initrd/pack-cpio', type: 'file' }] });
  });

  it('holds of one image alone only what that one needs', async () => {
    const plan = await planOf(project, [], [imageName('plain')]);
    const images = new Set(plan.steps.map(({ id }) => id.split('/')[0]));
    expect([...images]).toEqual(['base', 'plain']);
    expect(plan.images.map(({ image }) => image)).toEqual(['plain']);
  });
});

describe('profiles of the default initrd', () => {
  it.each([
    { own: '', expected: ['default', 'dm-crypt'] },
    { own: 'KernelInitrdModules=-btrfs', expected: ['default', '-btrfs', 'dm-crypt'] },
    { own: 'KernelInitrdModules=host', expected: ['host', 'dm-crypt'] },
  ])('add their kernel modules to those of the image: $own', async ({ own, expected }) => {
    const plan = await planOf('images/minimal', ['InitrdProfiles=hibernate', ...(own === '' ? [] : [own])]);
    const packed = plan.steps.find((step) => step.kind === 'pack-kernel-modules');
    expect(packed?.inputs).toMatchObject({ modules: expect.arrayContaining(expected) as unknown });
    if (packed?.kind !== 'pack-kernel-modules') throw new Error('no modules are packed');
    expect(packed.inputs.modules.indexOf('dm-crypt')).toBeGreaterThanOrEqual(expected.length - 1);
    expect(packed.inputs.modules[0]).toBe(expected[0]);
  });
});
