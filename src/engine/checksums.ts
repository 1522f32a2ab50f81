import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../base/brand.ts';
import { byBytes, sha256 } from '../base/canonical.ts';
import { fileDigest } from './content.ts';
import type { OutputRecord, OutputRecords, PublishedItem } from './output-records.ts';
import { describeItem, itemPath, outputState } from './output-records.ts';
import * as placing from './placing.ts';
import type { PublishTarget } from './publish.ts';
import { stepKey } from './record.ts';
import { removeTree } from './staging.ts';

/** A file of digests that is complete beside its place. Disposal removes what was not put in place. */
export interface ChecksumPlacement extends AsyncDisposable {
  place(): Promise<readonly OutputRecord[]>;
}

/** Adds the digests that are missing to records of outputs, where a file of digests is wanted. */
export async function digestUnchanged(
  unchanged: readonly OutputRecord[],
  { checksumFile }: PublishTarget,
  records: OutputRecords,
): Promise<readonly OutputRecord[]> {
  if (checksumFile === undefined) return unchanged;
  const digested: OutputRecord[] = [];
  for (const record of unchanged) {
    const complete = await withDigests(record);
    if (complete !== record) await records.write(complete);
    digested.push(complete);
  }
  return digested;
}

/** Writes the file of digests over these files, if one is wanted and is not there already as it should be. */
export async function prepareChecksums(
  files: readonly { readonly name: string; readonly sha256?: Sha256 }[],
  { checksumFile, directory, mode }: PublishTarget,
  records: OutputRecords,
): Promise<ChecksumPlacement | undefined> {
  if (checksumFile === undefined) return undefined;
  const text = files.flatMap(checksumLine).sort(byBytes).join('');
  const wanted = { directory, name: checksumFile, key: stepKey(sha256(text)), mode };
  if ((await outputState(wanted, await records.read(directory, checksumFile))) === 'current')
    return undefined;
  const temporary = placing.temporaryName(directory, checksumFile);
  const discard = (): Promise<void> => removeTree(temporary);
  try {
    await writeFile(temporary, text, { flag: 'wx' });
    await placing.completeFile(temporary, mode);
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    place: async () => {
      await rename(temporary, itemPath(directory, checksumFile));
      const items = [await describeItem(directory, checksumFile)];
      const record: OutputRecord = { ...wanted, format: 1, items };
      await records.write(record);
      return [record];
    },
    [Symbol.asyncDispose]: discard,
  };
}

async function withDigests(record: OutputRecord): Promise<OutputRecord> {
  if (record.items.every(({ type, sha256: digest }) => type !== 'file' || digest !== undefined))
    return record;
  const items: PublishedItem[] = [];
  for (const item of record.items) {
    const known = item.type !== 'file' || item.sha256 !== undefined;
    items.push(known ? item : { ...item, sha256: await fileDigest(join(record.directory, item.name)) });
  }
  return { ...record, items };
}

/** As sha256sum(1) writes and checks it, in binary mode as mkosi does. */
function checksumLine({ name, sha256: digest }: { name: string; sha256?: Sha256 }): string[] {
  return digest === undefined ? [] : [`${digest} *${name}\n`];
}
