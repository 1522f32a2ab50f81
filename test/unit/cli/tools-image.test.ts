import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { sha256 } from '../../../src/base/canonical.ts';
import { describedTools, readTools } from '../../../src/cli/session/project.ts';
import { settingsWithoutEffect } from '../../../src/config/buildable.ts';
import type { Project, ResolvedImage } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import { debianRepositories } from '../../../src/distro/apt-sources.ts';
import { planToolsOnly } from '../../../src/plan/project.ts';
import type { StepInputs } from '../../../src/plan/vocabulary.ts';
import { memoryProject } from '../../helpers/memory-files.ts';

const silent = { emit: () => undefined };
const keyring = { $host: hostPath('/keyring.gpg') };

async function load(files: Readonly<Record<string, string>>): Promise<Project> {
  const loaded = await loadProject(memoryProject(files));
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  return loaded.value;
}

/** What the package manager is asked for when the tree is made. */
function resolution(image: ResolvedImage): StepInputs['resolve-packages'] {
  const { steps } = planToolsOnly(image, {
    repositoriesOf: (config) => ({
      kind: 'apt',
      repositories: debianRepositories({
        release: config.Release,
        components: ['main', ...config.Repositories],
        ...(config.Mirror === undefined ? {} : { mirror: config.Mirror }),
        keyring,
      }),
      checkSignatures: config.RepositoryKeyCheck,
      checkValidUntil: config.CheckValidUntil,
      sandboxTrees: config.SandboxTrees.map(({ source }) => ({ $host: source })),
    }),
    secretDigest: sha256,
    randomUuid: () => '11111111-2222-4333-8444-555555555555',
    buildArguments: [],
    volatileDirectories: [],
    configJson: () => '{}',
  });
  const step = steps.find(({ kind }) => kind === 'resolve-packages');
  // The kind says which inputs there are.
  return step?.inputs as StepInputs['resolve-packages'];
}

describe('the tools tree of ToolsTree=default', () => {
  it('is the one that ToolsTree settings and mkimg.tools.conf describe', async () => {
    const project = await load({
      'mkimg.conf': `[Build]
ToolsTree=default
ToolsTreeDistribution=debian
ToolsTreeRelease=bookworm
ToolsTreeMirror=http://mirror.example/debian
ToolsTreeRepositories=contrib
ToolsTreeProfiles=devel
ToolsTreePackages=jq !zstd
ToolsTreePackageDirectories=debs
ToolsTreeSandboxTrees=sandbox
`,
      'mkimg.tools.conf': '[Content]\nPackages=ripgrep\n',
      'debs/': '',
      'sandbox/': '',
    });
    const { repositories, request } = resolution(await readTools(project, 'build', silent));
    expect(request.names).toEqual(expect.arrayContaining(['apt', 'cmake', 'jq', 'ripgrep']));
    expect(request.names).not.toContain('zstd');
    expect(request.packageDirectories).toEqual([{ $host: '/project/debs' }]);
    expect(repositories.sandboxTrees).toEqual([{ $host: '/project/sandbox' }]);
    expect(repositories.repositories[0]).toMatchObject({
      uris: ['http://mirror.example/debian'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main', 'contrib'],
    });
    expect(settingsWithoutEffect(project.main)).toEqual([]);
  });

  it("is mkimg's own where nobody says what shall be in it, and for virtual machines", async () => {
    const plain = await load({ 'mkimg.conf': '[Build]\nToolsTree=default\n' });
    expect(describedTools(plain)).toBeUndefined();
    expect((await readTools(plain, 'build', silent)).config.Packages).not.toContain('git');
    const more = await load({ 'mkimg.conf': '[Build]\nToolsTree=default\nToolsTreePackages=jq\n' });
    expect((await readTools(more, 'vm', silent)).config.Packages).not.toContain('jq');
  });

  it('has all that builds need in the releases whose tools are new enough', async () => {
    const project = await load({
      'mkimg.conf':
        '[Build]\nToolsTree=default\nToolsTreeDistribution=debian\nToolsTreeRelease=trixie\nToolsTreeProfiles=\n',
    });
    const described = (await readTools(project, 'build', silent)).config.Packages;
    const own = (await readTools({ main: project.main }, 'build', silent)).config.Packages;
    expect(own.filter((name) => !described.includes(name))).toEqual([]);
  });

  it('is refused where mkimg cannot make it, at the line that asks for it', async () => {
    const project = await load({
      'mkimg.conf': '[Build]\nToolsTree=default\nToolsTreeDistribution=fedora\n',
    });
    await expect(readTools(project, 'build', silent)).rejects.toMatchObject({
      diagnostics: [
        {
          code: 'unsupported-value',
          message: 'Distribution=fedora is not supported yet',
          origin: { kind: 'file', span: { line: 3 } },
        },
      ],
    });
  });

  it('tells of scripts, which do nothing for it yet', async () => {
    const project = await load({
      'mkimg.conf': '[Build]\nToolsTree=default\n',
      'mkimg.tools.conf': '[Content]\nPrepareScripts=prepare.sh\n',
      'prepare.sh': '#!/bin/sh\n',
    });
    const tools = describedTools(project);
    expect(tools && settingsWithoutEffect(tools)).toEqual(['PrepareScripts']);
  });
});
