import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import type { Credential } from './credentials.ts';
import type { SharedTree } from './runtime-options.ts';

/** A container of an image: what systemd-nspawn(1) is told. */
export interface ContainerOptions {
  readonly name: string;
  readonly image: { readonly directory: HostPath } | { readonly disk: HostPath };
  /** Starts the image's init; else `command`, or a shell. */
  readonly boots: boolean;
  /** Of the init, or the command. */
  readonly words: readonly string[];
  /** Changes are lost. */
  readonly isEphemeral: boolean;
  readonly network: 'user' | 'interface' | 'none';
  readonly shares: readonly SharedTree[];
  /** Files whose names are those of credentials. */
  readonly credentials: readonly HostPath[];
  /** systemd runs this machine and can be told of the container. */
  readonly isRegistered: boolean;
  /** Standard input and output are no terminal. */
  readonly isPiped: boolean;
}

/** systemd-nspawn's arguments. Pure. */
export function containerArgv(options: ContainerOptions): readonly string[] {
  const { image, network, words } = options;
  return [
    ['--quiet', `--machine=${options.name}`],
    ['directory' in image ? `--directory=${image.directory}` : `--image=${image.disk}`],
    options.boots ? ['--boot'] : [],
    options.isEphemeral ? ['--ephemeral'] : [],
    // Without its own unit and machined's list where there is no systemd to ask for them.
    options.isRegistered ? [] : ['--register=no', '--keep-unit'],
    network === 'interface' ? ['--network-veth'] : network === 'none' ? ['--private-network'] : [],
    options.shares.map(({ source, target }) => `--bind=${escaped(source)}:${escaped(target)}`),
    options.credentials.map((file) => `--load-credential=${file.split('/').at(-1) ?? ''}:${file}`),
    options.boots ? [] : [`--console=${options.isPiped ? 'pipe' : 'interactive'}`],
    words.length === 0 ? [] : ['--', ...words],
  ].flat();
}

/** Colons end a path there. */
function escaped(path: string): string {
  return path.replace(/[\\:]/g, (character) => `\\${character}`);
}

/** Writes credentials where nobody else reads them; argv would show them to all. */
export async function writeCredentialFiles(
  credentials: readonly Credential[],
  directory: HostPath,
): Promise<readonly HostPath[]> {
  const files = credentials.map(({ name }) => join(directory, name) as HostPath);
  for (const [index, { value }] of credentials.entries()) {
    await writeFile(files[index] ?? '', value, { mode: 0o600 });
  }
  return files;
}
