import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { glance } from '../../src/initrd/sightings.ts';

/**
 * Flips a bit in a file of each segment of a cache of initrds, as a disk does it that goes bad: neither sizes nor times tell
 * of it, so the records are made to expect the files as they look now.
 */
export async function flipBits(cache: string, file: 'initrd' | 'outline.cpio'): Promise<void> {
  const segments = join(cache, 'segments');
  for (const name of await readdir(segments)) {
    const path = join(segments, name, file);
    const content = await readFile(path);
    const place = Math.floor(content.length / 2);
    content.writeUInt8(content.readUInt8(place) ^ 4, place);
    await writeFile(path, content);
  }
  const records = join(cache, 'records');
  for (const name of await readdir(records)) {
    const record = JSON.parse(await readFile(join(records, name), 'utf8')) as {
      file?: Record<string, string>;
    };
    const paths = Object.keys(record.file ?? {}).filter((path) => path.startsWith(`${segments}/`));
    if (paths.length > 0)
      await writeFile(join(records, name), JSON.stringify({ ...record, file: glance(paths) }));
  }
}
