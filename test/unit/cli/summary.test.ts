import { describe, expect, it } from 'vitest';
import type { SummaryOptions } from '../../../src/cli/summary.ts';
import { summaryJson, summaryText } from '../../../src/cli/summary.ts';
import { loadProject } from '../../../src/config/project.ts';
import { memoryProject } from '../../helpers/memory-files.ts';

const files = {
  'mkimg.conf': '[Output]\nFormat=tar\n[Content]\nPackages=vim\n  acl\nRootPassword=swamp\nWithDocs=yes\n',
};

async function show(make: typeof summaryText, options: Partial<SummaryOptions> = {}): Promise<string> {
  const loaded = await loadProject(memoryProject(files, { Hostname: 'x' }));
  if (!loaded.ok) throw new Error('faulty project');
  return make(loaded.value, { origin: false, revealSecrets: false, ...options });
}

describe('the summary', () => {
  it('shows what differs from the defaults and what is essential', async () => {
    expect(await show(summaryText)).toBe(`Image main (/project)

  [Distribution]
    Architecture:              x86-64
    Distribution:              debian
    Release:                   bookworm

  [Output]
    Format:                    tar
    Output:                    image
    OutputDirectory:           /project

  [Content]
    Hostname:                  x
    Packages:                  acl
                               vim
    RootPassword:              ***`);
  });

  it('says where values came from', async () => {
    const text = await show(summaryText, { origin: true });
    expect(text).toContain('Format:                    tar  (/project/mkimg.conf:2:8)');
    expect(text).toContain('Packages:                  acl  (/project/mkimg.conf:5:3)');
    expect(text).toContain('                           vim  (/project/mkimg.conf:4:10)');
    expect(text).toContain('Hostname:                  x  (--Hostname=x)');
    expect(text).toContain('Release:                   bookworm  (default)');
  });

  it('shows secrets only when asked', async () => {
    expect(await show(summaryText, { revealSecrets: true })).toContain('swamp');
    expect(await show(summaryJson)).not.toContain('swamp');
    expect(await show(summaryJson, { revealSecrets: true })).toContain('swamp');
  });

  it('is one JSON document', async () => {
    const document = JSON.parse(await show(summaryJson, { origin: true })) as { Images: readonly unknown[] };
    expect(document.Images).toHaveLength(1);
    expect(document.Images[0]).toMatchObject({
      Image: 'main',
      Format: 'tar',
      Packages: ['acl', 'vim'],
      Origins: { Format: ['/project/mkimg.conf:2:8'] },
    });
  });
});
