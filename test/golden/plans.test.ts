import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { sha256 } from '../../src/base/canonical.ts';
import type { CommandLineAssignment, ResolvedImage } from '../../src/config/project.ts';
import { loadBuiltinImage, loadProject } from '../../src/config/project.ts';
import { debianRepositories } from '../../src/distro/apt-sources.ts';
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

async function planOf(image: string, flags: readonly string[]): Promise<Plan> {
  const assignments: CommandLineAssignment[] = flags.map((flag) => {
    const [setting = '', text = ''] = flag.split('=');
    return { setting, text, flag: `--${flag}` };
  });
  const directory = hostPath(join(root, 'images', image));
  const project = await loadProject({ directory, assignments, environment: {}, host });
  if (!project.ok) throw new Error(project.diagnostics.map(({ message }) => message).join('\n'));
  const { main } = project.value;
  const initrds = new Map(needsDefaultInitrd(main.config) ? [[main.name, await initrdOf(main)]] : []);
  return planProject({ images: [main], initrds, tools: { kind: 'host' }, facts });
}

async function initrdOf(inherit: ResolvedImage): Promise<ResolvedImage> {
  const directory = hostPath(join(root, 'configs/initrd'));
  const image = await loadBuiltinImage({ name: 'default-initrd', directory, inherit, assignments: [], environment: {}, host });
  if (!image.ok) throw new Error(image.diagnostics.map(({ message }) => message).join('\n'));
  return image.value;
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
        const plan = portable(await planOf(image, [`Format=${format}`, 'Release=trixie']));
        await expect(plan).toMatchFileSnapshot(`plans/${image}-${format}.json`);
      });
    }
  }

  for (const release of ['bookworm', 'forky', 'sid']) {
    it(`minimal of ${release}`, async () => {
      const plan = portable(await planOf('minimal', [`Release=${release}`]));
      await expect(plan).toMatchFileSnapshot(`plans/minimal-disk-${release}.json`);
    });
  }

  it('is the same each time', async () => {
    expect(portable(await planOf('debian', []))).toBe(portable(await planOf('debian', [])));
  });

  it('names each step once, after those it refers to', async () => {
    const { steps } = await planOf('debian', []);
    const seen = new Set<string>();
    for (const step of steps) {
      expect(seen).not.toContain(step.id);
      const references = [...JSON.stringify([step.inputs, step.tools]).matchAll(/"\$ref":"([^"]+)"/g)];
      for (const [, id] of references) expect(seen).toContain(id);
      seen.add(step.id);
    }
  });
});
