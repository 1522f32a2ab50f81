import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { Credential } from '../../src/qemu/credentials.ts';
import { textCredential } from '../../src/qemu/credentials.ts';
import type { VmRequest } from '../../src/qemu/vm.ts';

/** A mount of the guest, as findmnt(8) has it. */
export interface GuestMount {
  readonly source: string;
  readonly fstype: string;
  readonly options: string;
  /** Types of the block devices below it, from the top to the disks: `lvm crypt part disk`. */
  readonly stack: readonly string[];
}

/** What a guest that is up says of itself. */
export interface BootFacts {
  readonly root: GuestMount;
  readonly usr: GuestMount | undefined;
  readonly mdstat: string;
  /** Output of the case's own commands. */
  readonly more: string;
}

const port = 'mkimg.facts';
const portUnit = `dev-virtio\\x2dports-${port}.device`;

/** Asks while the boot's other units run, and is done before the report ends the guest. */
const unit = `[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
ConditionPathExists=!/etc/initrd-release
BindsTo=${portUnit}
After=${portUnit} basic.target
Before=multi-user.target mkimg-report.service
[Service]
Type=oneshot
ImportCredential=facts.*
StandardInput=null
StandardOutput=file:/dev/virtio-ports/${port}
ExecStart=/bin/sh \${CREDENTIALS_DIRECTORY}/facts.script
`;

const script = `one_line() { tr '\\n' ' '; echo; }
describe() {
  findmnt -vno SOURCE,FSTYPE,OPTIONS "$1" >/run/facts.mount || return
  read -r source rest </run/facts.mount
  echo "$2 $source $rest"
  [ -b "$source" ] && lsblk -snro TYPE "$source" | { printf '%s-stack ' "$2"; one_line; }
}
describe / root
describe /usr usr
printf 'mdstat '; cat /proc/mdstat 2>/dev/null | one_line
`;

/**
 * Adds to a machine what makes its guest state where its file systems are.
 * @param more a further command for the guest, whose output is {@link BootFacts.more}
 */
export async function withFacts(machine: VmRequest, directory: HostPath, more = 'true'): Promise<VmRequest> {
  await writeFile(join(directory, 'facts'), '');
  return {
    ...machine,
    credentials: [...machine.credentials, ...credentials(more)],
    extraArguments: [
      ...machine.extraArguments,
      ...['-chardev', 'file,id=facts,path=/facts'],
      ...['-device', `virtserialport,bus=ports.0,chardev=facts,name=${port}`],
    ],
    extraMounts: [
      ...machine.extraMounts,
      { source: hostPath(join(directory, 'facts')), target: '/facts', mode: 'rw' },
    ],
  };
}

function credentials(more: string): Credential[] {
  return [
    textCredential('systemd.extra-unit.facts.service', unit),
    textCredential('systemd.unit-dropin.multi-user.target~30-facts', '[Unit]\nWants=facts.service\n'),
    // A busy machine takes longer to come to the device than systemd waits by default.
    textCredential(`systemd.unit-dropin.${portUnit}~30-facts`, '[Unit]\nJobRunningTimeoutSec=infinity\n'),
    textCredential('facts.script', `${script}printf 'more '; { ${more}; } 2>&1 | one_line\n`),
  ];
}

/** Whether the guest has said all. */
export async function hasFacts(directory: HostPath): Promise<boolean> {
  return /^more .*\n/m.test(await readFile(join(directory, 'facts'), 'utf8'));
}

/** Reads what the guest said. @throws Error when it said nothing of its root */
export async function readFacts(directory: HostPath): Promise<BootFacts> {
  const text = await readFile(join(directory, 'facts'), 'utf8');
  const said = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [key = '', ...rest] = line.trim().split(' ');
    said.set(key, rest.join(' '));
  }
  const mount = (name: string): GuestMount | undefined => {
    const [source = '', fstype = '', options = ''] = (said.get(name) ?? '').split(/ +/);
    if (source === '') return undefined;
    const stack = (said.get(`${name}-stack`) ?? '').split(' ').filter((type) => type !== '');
    return { source, fstype, options, stack };
  };
  const root = mount('root');
  if (root === undefined) throw new Error(`the guest did not say what its root is: ${JSON.stringify(text)}`);
  return { root, usr: mount('usr'), mdstat: said.get('mdstat') ?? '', more: said.get('more') ?? '' };
}
