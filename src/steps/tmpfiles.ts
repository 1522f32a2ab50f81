import type { HostPath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import type { Mount, PrivilegeMode } from '../sandbox/types.ts';
import { treeAt } from '../sandbox/tree.ts';
import { buildrootMount } from './buildroot.ts';
import type { TreeStep } from './implementation.ts';

/** Content of these belongs to the running system. */
const runtimeDirectories = ['/tmp', '/var/tmp', '/run', '/proc', '/sys', '/dev'] as const;

/**
 * 65 (EX_DATAERR) and 73 (EX_CANTCREAT): some lines do not apply to this tree. systemd-tmpfiles-setup.service takes them
 * as success too.
 */
const okExitCodes = [0, 65, 73] as const;

/**
 * With one mapped id all daemons' directories would be owned by root, so /var is left to the first boot, unless they are
 * to be root's.
 */
export function tmpfilesArgv(mode: PrivilegeMode, rootOwned = false): string[] {
  const excluded = mode === 'single-id' && !rootOwned ? [...runtimeDirectories, '/var'] : runtimeDirectories;
  return [
    '--root=/buildroot',
    '--boot',
    '--create',
    '--remove',
    ...excluded.map((path) => `--exclude-prefix=${path}`),
  ];
}

/** Makes the files and directories that packages declare in tmpfiles.d(5). */
export const tmpfiles: TreeStep<'tmpfiles'> = {
  output: 'tree',
  version: 1,
  tools: [{ tool: 'systemd-tmpfiles', reason: 'to make the files that packages declare' }],
  async run({ rootOwned }, root, context) {
    await context.sandbox.run({
      tool: 'systemd-tmpfiles',
      argv: tmpfilesArgv(context.sandbox.mode, rootOwned),
      // Subvolumes in the tree of a build on btrfs would be lost or in the way later.
      env: { SYSTEMD_TMPFILES_FORCE_SUBVOL: '0' },
      mounts: [buildrootMount(root), ...(await accountMounts(root))],
      okExitCodes,
      purpose: 'making the files of tmpfiles.d',
    });
  },
};

/** Names in ACLs are looked up by libacl, which knows nothing of --root: it must see the image's accounts. */
async function accountMounts(root: HostPath): Promise<readonly Mount[]> {
  const tree = treeAt(root);
  const mounts: Mount[] = [];
  for (const path of ['etc/passwd', 'etc/group']) {
    const source = await tree.resolve(treePath(path));
    if (await tree.exists(treePath(path))) mounts.push({ source, target: `/${path}`, mode: 'ro' });
  }
  return mounts;
}
