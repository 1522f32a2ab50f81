import { MkimgError } from '../base/errors.ts';

/**
 * A variable of UEFI firmware. Attributes, vendors and meanings: UEFI 2.10, section 8.2 (services), 3.3 (global variables) and
 * 32 (Secure Boot).
 */
export interface FirmwareVariable {
  readonly name: string;
  /** GUID. */
  readonly vendor: string;
  readonly attributes: number;
  readonly content: Uint8Array;
}

// MdeModulePkg/Include/Guid/VariableFormat.h of edk2: sizes of its headers, and the states of a variable.
const storeHeaderSize = 28;
const variableHeaderSize = 60;
const variableStart = 0x55aa;
const validState = 0x3f;
const deletedState = 0x3c;
const storeKind = 'aaf32c78-947b-439a-a180-2e144ec37792';
const volumeSignature = 0x4856465f;

/**
 * Puts variables into a store as edk2's firmware keeps it in flash: a firmware volume with authenticated variables. A variable
 * that is there already is replaced.
 * @returns a copy of the store
 * @throws MkimgError `bad-firmware-variables` for what is no such store, or has no room
 */
export function withFirmwareVariables(store: Uint8Array, variables: readonly FirmwareVariable[]): Buffer {
  const bytes = Buffer.from(store);
  const { begin, end } = findStore(bytes);
  for (const variable of variables) {
    const free = retire(bytes, { begin, end }, variable);
    const written = encoded(variable);
    if (free + written.length > end) throw bad('it has no room');
    written.copy(bytes, free);
  }
  return bytes;
}

interface Extent {
  readonly begin: number;
  readonly end: number;
}

/** Where the variables are. */
function findStore(bytes: Buffer): Extent {
  if (bytes.length < 72 || bytes.readUInt32LE(40) !== volumeSignature) throw bad('it is no firmware volume');
  const header = bytes.readUInt16LE(48);
  if (header + storeHeaderSize > bytes.length) throw bad('its header is too long');
  const kind = bytes.subarray(header, header + 16);
  if (!kind.equals(guidBytes(storeKind))) throw bad('it holds no authenticated variables');
  const end = header + bytes.readUInt32LE(header + 16);
  if (end > bytes.length) throw bad('it ends too early');
  return { begin: header + storeHeaderSize, end };
}

/** Marks variables of that name as deleted. Returns where free space begins. */
function retire(bytes: Buffer, { begin, end }: Extent, { name, vendor }: FirmwareVariable): number {
  const wantedName = nameBytes(name);
  const wantedVendor = guidBytes(vendor);
  let at = begin;
  while (at + variableHeaderSize <= end && bytes.readUInt16LE(at) === variableStart) {
    const nameSize = bytes.readUInt32LE(at + 36);
    const contentSize = bytes.readUInt32LE(at + 40);
    const nameAt = at + variableHeaderSize;
    const next = aligned(nameAt + nameSize + contentSize);
    if (next > end) throw bad('a variable is longer than it');
    const isSame =
      bytes.subarray(at + 44, at + 60).equals(wantedVendor) &&
      bytes.subarray(nameAt, nameAt + nameSize).equals(wantedName);
    if (isSame) bytes[at + 2] = (bytes[at + 2] ?? 0) & deletedState;
    at = next;
  }
  return at;
}

function encoded({ name, vendor, attributes, content }: FirmwareVariable): Buffer {
  const header = Buffer.alloc(variableHeaderSize);
  const text = nameBytes(name);
  header.writeUInt16LE(variableStart, 0);
  header.writeUInt8(validState, 2);
  header.writeUInt32LE(attributes, 4);
  header.writeUInt32LE(text.length, 36);
  header.writeUInt32LE(content.length, 40);
  guidBytes(vendor).copy(header, 44);
  const whole = Buffer.concat([header, text, content]);
  // Erased flash is all ones.
  return Buffer.concat([whole, Buffer.alloc(aligned(whole.length) - whole.length, 0xff)]);
}

function nameBytes(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'utf16le');
}

function aligned(offset: number): number {
  return Math.ceil(offset / 4) * 4;
}

/** The first three groups are little-endian (UEFI, appendix A). */
function guidBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex');
  return Buffer.concat([
    bytes.subarray(0, 4).reverse(),
    bytes.subarray(4, 6).reverse(),
    bytes.subarray(6, 8).reverse(),
    bytes.subarray(8),
  ]);
}

function bad(reason: string): MkimgError {
  return new MkimgError('bad-firmware-variables', `These are no variables of UEFI firmware: ${reason}.`, {
    hint: 'Take a copy of the OVMF_VARS file that belongs to the firmware.',
  });
}

const globalVendor = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const databaseVendor = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const switchVendor = 'f0a30bc7-af08-4556-99c4-001009c93a44';
const shimVendor = '605dab50-e046-4300-abb6-3dd810dd8b23';
/** EFI_CERT_X509_GUID. */
const certificateKind = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072';
/** Who is said to own the key: edk2's name for keys of the platform's vendor. */
const keyOwner = 'a0baa8a3-041d-48a8-bc87-c36d121b5e3d';

/** Non-volatile, for boot services. */
const bootOnly = 0x03;
/** The same also at run time, and changed only by what is signed with a time. */
const authenticated = 0x27;

/**
 * Secure Boot switched on, with one certificate that is trusted: to change the keys, and to sign what boots.
 * @param certificate X.509 in DER
 */
export function secureBootVariables(certificate: Uint8Array): readonly FirmwareVariable[] {
  const content = signatureList(certificate);
  return [
    { name: 'db', vendor: databaseVendor, attributes: authenticated, content },
    { name: 'KEK', vendor: globalVendor, attributes: authenticated, content },
    { name: 'PK', vendor: globalVendor, attributes: authenticated, content },
    { name: 'SecureBootEnable', vendor: switchVendor, attributes: bootOnly, content: Uint8Array.of(1) },
  ];
}

/** A certificate that shim trusts. @param certificate X.509 in DER */
export function machineOwnerVariables(certificate: Uint8Array): readonly FirmwareVariable[] {
  const content = signatureList(certificate);
  return [{ name: 'MokList', vendor: shimVendor, attributes: bootOnly, content }];
}

/** EFI_SIGNATURE_LIST with one entry. */
function signatureList(certificate: Uint8Array): Buffer {
  const header = Buffer.alloc(28);
  guidBytes(certificateKind).copy(header);
  header.writeUInt32LE(header.length + 16 + certificate.length, 16);
  header.writeUInt32LE(16 + certificate.length, 24);
  return Buffer.concat([header, guidBytes(keyOwner), certificate]);
}
