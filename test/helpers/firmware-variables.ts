/** Bytes for variables in {@link emptyVariables}. */
export const variablesSize = 4096;

/** An empty store as edk2 builds it: the header of the volume, that of the store, and erased flash. */
export function emptyVariables(kind = '782cf3aa7b949a43a1802e144ec37792'): Buffer {
  const bytes = Buffer.alloc(8192, 0xff);
  bytes.fill(0, 0, 100);
  bytes.write('_FVH', 40);
  bytes.writeUInt16LE(72, 48);
  bytes.write(kind, 72, 'hex');
  bytes.writeUInt32LE(variablesSize, 88);
  bytes.writeUInt16LE(0xfe5a, 92);
  return bytes;
}
