import type { HostPath } from '../base/brand.ts';
import { imageName } from '../base/brand.ts';
import { setDirectory } from './builtin-sets.ts';
import { named, prefixOf, readDirectory, readFile } from './directory.ts';
import type { MainValues } from './hand-down.ts';
import { handDown } from './hand-down.ts';
import type { ImageLoading, Prefix } from './loading.ts';
import { newImage } from './loading.ts';
import { settingRow } from './settings/table.ts';
import { force } from './values.ts';

/** Reads the tools tree of ToolsTree=default: ToolsTree settings, mkimg.tools.conf, then what mkimg brings along. */
export function readToolsTree(main: MainValues, prefix: Prefix): ImageLoading {
  const { directory, world } = main.loading;
  const home = setDirectory('tools', world.sets);
  const loading = newImage({ name: imageName('tools'), role: 'tools', directory, home }, world);
  loading.values.defaults.set('Output', `${prefix}.tools`);
  handDown(loading, main);
  const given = { value: 'directory', entries: [], isDefault: false, idleRemovals: [] };
  force(loading.values, { row: settingRow('Format'), given, origin: { kind: 'default' } });
  readCompanion(loading, named({ directory, prefix }, '.tools.conf'), prefix);
  return loading;
}

/** Reads the default initrd: Initrd settings, mkimg.initrd.conf, then what mkimg brings along. */
export function readDefaultInitrd(main: MainValues, prefix: Prefix): ImageLoading {
  const { directory, world } = main.loading;
  const home = setDirectory('initrd', world.sets);
  const loading = newImage(
    { name: imageName('default-initrd'), role: 'default-initrd', directory, home },
    world,
  );
  handDown(loading, main);
  readCompanion(loading, named({ directory, prefix }, '.initrd.conf'), prefix);
  return loading;
}

/** The user's file or directory, which wins; then the built-in set, whose conditions see what the user decided. */
function readCompanion(loading: ImageLoading, path: HostPath, prefix: Prefix): void {
  const { files } = loading.world;
  const role = loading.role === 'tools' ? 'tools' : 'initrd';
  if (loading.world.isProjectless !== true && files.stat(path)?.directory === true) {
    const own = prefixOf(files, path) ?? prefix;
    readDirectory(loading, path, { prefix: own, local: true, profiles: true, role });
  } else {
    const directory = loading.world.root ?? loading.directory;
    const position = { directory, prefix, layer: 'files' } as const;
    if (loading.world.isProjectless !== true) readFile(loading, path, { position, role });
  }
  readDirectory(loading, loading.home, {
    prefix: 'mkimg',
    profiles: true,
    layer: 'built-in',
    role: 'built-in',
  });
}
