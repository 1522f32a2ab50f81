import { createHash } from 'node:crypto';
import type { Sha256 } from './brand.ts';
import { sha256Digest } from './brand.ts';

/** Plain data: what plans, records and keys are made of. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** True for a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Compares by UTF-8 bytes, which is what LC_ALL=C tools do; never use localeCompare for anything that is stored. */
export function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/**
 * JSON with members sorted by the bytes of their names, without white space; members that are `undefined` are left out.
 * The same value always gives the same text.
 * @throws Error (internal) for numbers that JSON cannot hold.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error('internal: number without a JSON form');
    return JSON.stringify(value);
  }
  if (isJsonArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members: string[] = [];
  for (const key of Object.keys(value).sort(byBytes)) {
    const member = value[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(member)}`);
  }
  return `{${members.join(',')}}`;
}

function isJsonArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

export function sha256(data: string | Uint8Array): Sha256 {
  return sha256Digest(createHash('sha256').update(data).digest('hex'));
}

/** Digest of a value's canonical JSON. */
export function digestJson(value: Json): Sha256 {
  return sha256(canonicalJson(value));
}
