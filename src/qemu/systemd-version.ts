import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { readTextIfExists } from '../base/files.ts';

/**
 * Major version of the systemd in an image, from the manifest beside it; 0 when the image has none, undefined when
 * there is no manifest that says so.
 */
export async function systemdVersionOf(
  outputDirectory: HostPath,
  output: string,
): Promise<number | undefined> {
  const text = await readTextIfExists(join(outputDirectory, `${output}.manifest`));
  return text === undefined ? undefined : systemdVersion(text);
}

/** The same from the manifest's text (mkosi's JSON, which lists `packages` with `name` and `version`). */
export function systemdVersion(manifest: string): number | undefined {
  let value: unknown;
  try {
    value = JSON.parse(manifest);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('packages' in value)) return undefined;
  const packages: readonly unknown[] = Array.isArray(value.packages) ? value.packages : [];
  if (packages.length === 0) return undefined;
  for (const entry of packages) {
    const version = systemdPackageVersion(entry);
    if (version !== undefined) return version;
  }
  return 0;
}

function systemdPackageVersion(entry: unknown): number | undefined {
  if (typeof entry !== 'object' || entry === null || !('name' in entry) || !('version' in entry)) {
    return undefined;
  }
  if (entry.name !== 'systemd' || typeof entry.version !== 'string') return undefined;
  // An epoch may stand in front: 1:257.8-1.
  const major = /^(?:\d+:)?(\d+)/.exec(entry.version)?.[1];
  return major === undefined ? undefined : Number(major);
}
