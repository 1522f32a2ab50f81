import type { ArchitectureName } from '../distro/architectures/index.ts';
import { architectures } from '../distro/architectures/index.ts';

/**
 * Partition types by GUID: the Discoverable Partitions Specification (uapi-group.org, names as systemd writes them) and
 * the few others that boot loaders need.
 */
const generalTypes: Readonly<Record<string, string>> = {
  'c12a7328-f81f-11d2-ba4b-00a0c93ec93b': 'esp',
  'bc13c2ff-59e6-4262-a352-b275fd6f7172': 'xbootldr',
  '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f': 'swap',
  '933ac7e1-2eb4-4f13-b844-0e14e2aef915': 'home',
  '3b8f8425-20e0-4f3b-907f-1a25a76f98e8': 'srv',
  '4d21b016-b534-45c2-a9fb-5c16e091fd2d': 'var',
  '7ec6f557-3bc5-4aca-b293-16ef5df639d1': 'tmp',
  '773f91ef-66d4-49b5-bd83-d683bf40ad16': 'user-home',
  '0fc63daf-8483-4772-8e79-3d69d8477de4': 'linux-generic',
  '21686148-6449-6e6f-744e-656564454649': 'bios-boot',
  '9e1a2d38-c612-4316-aa26-8b49521e5a8b': 'prep',
  'e6d6d379-f507-44c2-a23c-238f2a3df928': 'lvm',
  'a19d880f-05fc-4d3b-a006-743f0f84911e': 'raid',
  'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7': 'microsoft-basic-data',
};

const typeNames = new Map<string, string>([
  ...Object.entries(generalTypes),
  ...Object.entries(architectures).flatMap(([architecture, { partitionTypes }]) =>
    Object.entries(partitionTypes).flatMap(([usage, [plain, verity, signature]]): [string, string][] => [
      [plain, `${usage}-${architecture}`],
      [verity, `${usage}-${architecture}-verity`],
      [signature, `${usage}-${architecture}-verity-sig`],
    ]),
  ),
]);

/** systemd's name of a partition type (`root-x86-64`, `esp`); undefined for types that the table does not have. */
export function partitionTypeName(guid: string): string | undefined {
  return typeNames.get(guid.toLowerCase());
}

/** GUID of the root file system's partition type for an architecture. */
export function rootTypeGuid(architecture: ArchitectureName): string {
  return architectures[architecture].partitionTypes.root[0];
}
