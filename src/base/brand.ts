/** Nominal types: a value of one kind cannot be handed over where another kind is meant. */

declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Absolute path on the host, or on what the process sees as the host. */
export type HostPath = Brand<string, 'HostPath'>;
/** Path inside an image tree, relative to the tree's root, without a leading slash and without `..`. */
export type TreePath = Brand<string, 'TreePath'>;
/** Lower-case hexadecimal SHA-256 digest. */
export type Sha256 = Brand<string, 'Sha256'>;
/** SHA-256 over everything that can change a step's output. */
export type StepKey = Brand<string, 'StepKey'>;
/** Name of a step, unique in its plan. */
export type StepId = Brand<string, 'StepId'>;
/** Name of an image; `main` is the one a configuration directory describes itself. */
export type ImageName = Brand<string, 'ImageName'>;

/**
 * Marks an absolute path as a path on the host.
 * @throws Error (internal) when the path is relative.
 */
export function hostPath(path: string): HostPath {
  if (!path.startsWith('/')) throw new Error(`internal: not an absolute host path: ${path}`);
  return path as HostPath;
}

/**
 * Marks a path as one inside a tree. Leading slashes are dropped, because users write both forms.
 * @throws Error (internal) when the path climbs with `..`; check user input before.
 */
export function treePath(path: string): TreePath {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new Error(`internal: tree path climbs out: ${path}`);
  return parts.join('/') as TreePath;
}

/** Marks a digest. @throws Error (internal) when it is not 64 hexadecimal digits. */
export function sha256Digest(text: string): Sha256 {
  if (!isSha256(text)) throw new Error(`internal: not a sha256 digest: ${text}`);
  return text;
}

/** True for what sha256Digest() takes. */
export function isSha256(value: unknown): value is Sha256 {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

export function stepId(text: string): StepId {
  return text as StepId;
}

export function imageName(text: string): ImageName {
  return text as ImageName;
}
