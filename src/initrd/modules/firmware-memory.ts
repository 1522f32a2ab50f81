import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { isObject } from '../../base/canonical.ts';
import { isErrno } from '../../base/errors.ts';
import { makeDirectory, readTextIfExists, writeCacheFile } from '../../base/files.ts';
import type { ModinfoContext } from '../../steps/kernel-modules/firmware-names.ts';
import { firmwareByModule } from '../../steps/kernel-modules/firmware-names.ts';
import type { ModuleFile } from '../../steps/kernel-modules/module-files.ts';

/** Raise it when other names are read out of the same module. */
const formatVersion = 1;

export interface MemoryRequest {
  readonly modules: readonly ModuleFile[];
  /** Where to remember; undefined for nowhere. */
  readonly directory: HostPath | undefined;
  readonly version: string;
}

/** firmwareByModule(), but modules that did not change since the last time are not read again. */
export async function rememberedFirmwareNames(
  { modules, directory, version }: MemoryRequest,
  context: ModinfoContext,
): Promise<ReadonlyMap<string, readonly string[]>> {
  if (directory === undefined) return firmwareByModule(modules, context);
  const file = join(directory, `firmware-of-${version}.json`);
  const known = parseMemory(await readTextIfExists(file));
  const unknown = modules.filter((module) => !known.has(fingerprint(module)));
  const read = await firmwareByModule(unknown, context);
  for (const module of unknown) known.set(fingerprint(module), read.get(module.module.name) ?? []);
  if (unknown.length > 0) {
    await makeDirectory(directory);
    try {
      await writeCacheFile(file, JSON.stringify({ formatVersion, modules: Object.fromEntries(known) }));
    } catch (error) {
      // Whoever holds the lock of the cache has cleared it away before it had its name: it is written next time.
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
  return new Map(modules.map((module) => [module.module.name, known.get(fingerprint(module)) ?? []]));
}

function fingerprint({ module, size, changed }: ModuleFile): string {
  return `${module.path} ${size} ${changed}`;
}

/** A memory that cannot be read is none. */
function parseMemory(text: string | undefined): Map<string, readonly string[]> {
  const known = new Map<string, readonly string[]>();
  const memory = parsed(text);
  if (!isObject(memory) || memory['formatVersion'] !== formatVersion) return known;
  const { modules } = memory;
  if (!isObject(modules)) return known;
  for (const [key, names] of Object.entries(modules))
    if (Array.isArray(names))
      known.set(
        key,
        names.filter((name) => typeof name === 'string'),
      );
  return known;
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
