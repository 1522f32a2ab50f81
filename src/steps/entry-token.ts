import type { HostPath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { treeAt } from '../sandbox/tree.ts';

/**
 * The first part of the names of boot entries, by kernel-install's rule for an image without a machine ID:
 * /etc/kernel/entry-token, else IMAGE_ID= and then ID= of os-release, else `linux`.
 */
export async function entryToken(root: HostPath): Promise<string> {
  const tree = treeAt(root);
  const saved = await tree.readText(treePath('etc/kernel/entry-token'));
  const release =
    (await tree.readText(treePath('etc/os-release'))) ??
    (await tree.readText(treePath('usr/lib/os-release'))) ??
    '';
  const candidates = [saved?.trim(), osReleaseValue(release, 'IMAGE_ID'), osReleaseValue(release, 'ID')];
  return candidates.find((token) => token !== undefined && isToken(token)) ?? 'linux';
}

/** systemd's efi_loader_entry_name_valid(), shortened so that the whole name fits. */
function isToken(text: string): boolean {
  return /^[A-Za-z0-9._+-]{1,64}$/.test(text) && !text.startsWith('.');
}

/** A value of os-release(5), which is shell syntax without expansion; of several assignments the last one counts. */
export function osReleaseValue(text: string, name: string): string | undefined {
  const prefix = `${name}=`;
  const line = text
    .split('\n')
    .filter((candidate) => candidate.startsWith(prefix))
    .at(-1);
  const value = line?.slice(prefix.length).trim();
  const quoted = value === undefined ? undefined : /^(["'])(.*)\1$/.exec(value);
  return quoted?.[2]?.replace(/\\(["$`\\])/g, '$1') ?? value;
}
