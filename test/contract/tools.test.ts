import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { loadBuiltinImage, loadProject } from '../../src/config/project.ts';
import { outputType } from '../../src/plan/builder.ts';
import type { StepKind } from '../../src/plan/step.ts';
import { machines } from '../../src/qemu/machines/index.ts';
import { toolRow, toolTable } from '../../src/sandbox/tool-table.ts';
import { catalogue } from '../../src/steps/catalogue.ts';
import { helperPrograms } from '../../src/steps/script-helpers.ts';

const repository = resolve(import.meta.dirname, '../..');
const steps = Object.entries(catalogue) as [StepKind, (typeof catalogue)[StepKind]][];

/** Packages that every Debian system has (Essential: yes). */
const essential = [
  'bash',
  'coreutils',
  'dash',
  'dpkg',
  'findutils',
  'grep',
  'gzip',
  'sed',
  'tar',
  'util-linux',
];

/** Packages of tools trees that bring no program which mkimg starts itself. */
const reasons: Readonly<Record<string, string>> = {
  'btrfs-progs': 'systemd-repart starts mkfs.btrfs for Format=btrfs',
  'ca-certificates': 'mirrors that speak https',
  'debian-archive-keyring': 'checking the repositories of Debian',
  'erofs-utils': 'systemd-repart starts mkfs.erofs for Format=erofs',
  'python3-pefile': 'ukify needs it',
  'squashfs-tools': 'systemd-repart starts mksquashfs for Format=squashfs',
  sqv: 'apt checks signatures with it',
  'systemd-boot-efi': 'the stub of unified kernel images, for images without one',
  'systemd-boot-tools': 'bootctl, for scripts of users',
  xfsprogs: 'systemd-repart starts mkfs.xfs for Format=xfs',
};

function sourceOf(room: string): string {
  const directory = join(repository, 'src', room);
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('\n');
}

/** What `mkimg tools` installs for these profiles. */
async function packagesOf(...profiles: readonly string[]): Promise<readonly string[]> {
  const host = { architecture: 'x86-64', distribution: 'debian', codename: 'trixie' } as const;
  const directory = hostPath(join(repository, 'images/minimal'));
  const project = await loadProject({ directory, assignments: [], environment: {}, host });
  if (!project.ok) throw new Error(project.diagnostics.map(({ message }) => message).join('\n'));
  const image = await loadBuiltinImage({
    name: 'tools',
    directory: hostPath(join(repository, 'configs/tools')),
    inherit: project.value.main,
    assignments: profiles.map((text) => ({ setting: 'Profiles', text, flag: `--profile=${text}` })),
    environment: {},
    host,
  });
  if (!image.ok) throw new Error(image.diagnostics.map(({ message }) => message).join('\n'));
  return image.value.config.Packages;
}

const packageOf = (tool: string): string => toolRow(tool).debianPackage;

describe('the steps', () => {
  it.each(steps)('%s makes what the planner expects, with tools that have a row', (kind, step) => {
    expect(step.output).toBe(outputType(kind));
    expect(step.version).toBeGreaterThan(0);
    for (const need of step.tools) {
      expect(toolTable.has(need.tool), need.tool).toBe(true);
      expect(need.reason).toMatch(/^[a-z].{5,}[^.]$/);
      if (need.minimum !== undefined) expect(toolRow(need.tool).versionArgv).toBeDefined();
    }
  });

  it('start only programs that have a row', () => {
    const started = [...`${sourceOf('steps')}${sourceOf('cli')}`.matchAll(/\btool: '([^']+)'/g)];
    expect(started.length).toBeGreaterThan(30);
    expect(started.filter(([, tool = '']) => !toolTable.has(tool)).map(([text]) => text)).toEqual([]);
  });
});

describe('the table of tools', () => {
  it.each([...toolTable])('says how %s is had and asked for its version', (_, row) => {
    expect(row.debianPackage).toMatch(/^[a-z0-9][a-z0-9+.-]+$/);
    expect(row.versionPattern.source).toContain('(');
  });
});

describe('the tools trees', () => {
  /** The helper programs of scripts hide the tools of the same name and start them. */
  const helpers = Object.keys(helperPrograms({ network: false, resolvConf: '' })).filter((name) =>
    toolTable.has(name),
  );
  const stepTools = [...steps.flatMap(([, { tools }]) => tools.map(({ tool }) => tool)), ...helpers];

  it('have what steps start, and nothing without a reason', async () => {
    const listed = await packagesOf('build');
    const needed = [...new Set(stepTools.map(packageOf))];
    expect(helpers).toEqual(expect.arrayContaining(['useradd', 'groupadd']));
    expect(needed.filter((name) => ![...listed, ...essential].includes(name))).toEqual([]);
    expect(listed.filter((name) => !needed.includes(name) && !(name in reasons))).toEqual([]);
    expect(Object.keys(reasons).filter((name) => !listed.includes(name))).toEqual([]);
  });

  it('have what machines need', async () => {
    const tools = ['qemu-img', 'swtpm', 'virtiofsd'];
    const text = sourceOf('qemu');
    for (const tool of tools) expect(text).toContain(`'${tool}'`);
    for (const { architecture, packages } of Object.values(machines)) {
      const listed = await packagesOf('vm', `vm-${architecture}`);
      expect([...listed].sort()).toEqual([...Object.values(packages), ...tools.map(packageOf)].sort());
    }
  });
});
