import type { Json } from '../base/canonical.ts';
import { isObject } from '../base/canonical.ts';
import type { Credential } from './credentials.ts';
import { textCredential } from './credentials.ts';

/** How the guest tells that its boot finished. */
export type ReportChannel =
  /** A unit that arrives as a credential (systemd 256 and later). */
  | 'unit'
  /** The same script, started from the kernel command line (systemd 252 to 255). */
  | 'command-line'
  /** Nothing but the text on the serial console. */
  | 'console';

/** Virtio port that carries the records. */
export const reportPort = 'mkimg.0';

/** Monotonic clock of the guest in microseconds; 0 where systemd knows nothing. See systemd-analyze(1). */
export interface BootTimestamps {
  /** Length of the firmware's and the loader's work, counted backwards from the kernel's start. */
  readonly firmware: number;
  readonly loader: number;
  readonly initrd: number;
  readonly userspace: number;
  readonly finish: number;
}

/** A unit that failed, with the last lines of its journal. */
export interface FailedUnit {
  readonly unit: string;
  readonly log: readonly string[];
}

/** What a guest says on the report port, one JSON object in a line. */
export type GuestRecord =
  | { readonly event: 'booted' }
  | { readonly event: 'state'; readonly state: string }
  | { readonly event: 'failed'; readonly units: readonly string[] }
  | { readonly event: 'log'; readonly unit: string }
  | { readonly event: 'times'; readonly times: BootTimestamps }
  | { readonly event: 'done' }
  /** A line of output that belongs to the record before; `> ` in front keeps it from being taken for a record. */
  | { readonly event: 'line'; readonly text: string };

/** Chooses by the image's systemd version; undefined when it is not known, 0 when the image has no systemd. */
export function chooseReportChannel(systemdVersion: number | undefined): ReportChannel {
  if (systemdVersion === undefined || systemdVersion >= 256) return 'unit';
  return systemdVersion >= 252 ? 'command-line' : 'console';
}

/** Credentials that make the guest report. */
export function reportCredentials(channel: ReportChannel): Credential[] {
  switch (channel) {
    case 'unit':
      return [
        textCredential('systemd.extra-unit.mkimg-report.service', reportUnit),
        textCredential(
          'systemd.unit-dropin.multi-user.target~20-mkimg',
          '[Unit]\nWants=mkimg-report.service\n',
        ),
        textCredential('systemd.unit-dropin.systemd-firstboot.service', noFirstBoot),
        textCredential(`systemd.unit-dropin.${portUnit}~20-mkimg`, waitLong),
        textCredential('mkimg.agent', agent),
      ];
    case 'command-line':
      return [textCredential('mkimg.agent', waitForPort + agent)];
    case 'console':
      return [];
  }
}

/** Words for the kernel command line that go with the credentials. */
export function reportCommandLine(channel: ReportChannel): string[] {
  // systemd-firstboot asks on the console for ever when the image has no machine-id, and nobody is there to answer.
  const always = ['systemd.firstboot=no'];
  if (channel !== 'command-line') return always;
  // systemd-run --no-block: in a start job of its own, `is-system-running --wait` would wait for itself.
  const start =
    'systemd-run --no-block -u mkimg-report -p SuccessAction=poweroff -p FailureAction=poweroff /bin/sh /run/credentials/@system/mkimg.agent';
  return [
    ...always,
    `systemd.run="${start}"`,
    'systemd.run_success_action=none',
    'systemd.run_failure_action=poweroff',
  ];
}

/** Console text which shows that the boot came to its end, for guests without the report port. */
export const bootedMarker =
  /\blogin: ?$|Reached target .{0,12}(?:multi-user\.target|Multi-User System|graphical\.target)/;

/**
 * Reads one line from the report port. undefined: nothing that the agent writes. The guest is not trusted: what does
 * not have the expected form is dropped.
 */
export function parseRecord(line: string): GuestRecord | undefined {
  if (line.startsWith('> ')) return { event: 'line', text: line.slice(2) };
  let value: Json;
  try {
    value = JSON.parse(line) as Json;
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  return recordOf(value as Readonly<Record<string, Json>>);
}

function recordOf(value: Readonly<Record<string, Json>>): GuestRecord | undefined {
  switch (value['event']) {
    case 'booted':
      return { event: 'booted' };
    case 'done':
      return { event: 'done' };
    case 'state':
      return { event: 'state', state: textOf(value['state']) };
    case 'log':
      return { event: 'log', unit: textOf(value['unit']) };
    case 'failed':
      return { event: 'failed', units: unitNames(value['units']) };
    case 'times':
      return { event: 'times', times: timestamps(value) };
    default:
      return undefined;
  }
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function unitNames(value: Json | undefined): string[] {
  if (typeof value !== 'string') return [];
  return value.split(' ').filter((name) => name !== '');
}

function timestamps(value: Readonly<Record<string, Json>>): BootTimestamps {
  const at = (name: string): number => {
    const number = value[name];
    return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : 0;
  };
  return {
    firmware: at('Firmware'),
    loader: at('Loader'),
    initrd: at('InitRD'),
    userspace: at('Userspace'),
    finish: at('Finish'),
  };
}

/** Milliseconds that each part of the boot took; parts that the guest knows nothing about are missing. */
export interface BootPhases {
  readonly firmware?: number;
  readonly loader?: number;
  readonly kernel?: number;
  readonly initrd?: number;
  readonly userspace?: number;
  readonly total?: number;
}

/** Durations from timestamps, by the rules of systemd-analyze(1). */
export function bootPhases(times: BootTimestamps): BootPhases {
  const milliseconds = (microseconds: number): number => Math.round(microseconds / 1000);
  const { firmware, loader, initrd, userspace, finish } = times;
  const kernelEnd = initrd > 0 ? initrd : userspace;
  return {
    ...(firmware > loader ? { firmware: milliseconds(firmware - loader) } : {}),
    ...(loader > 0 ? { loader: milliseconds(loader) } : {}),
    ...(kernelEnd > 0 ? { kernel: milliseconds(kernelEnd) } : {}),
    ...(initrd > 0 && userspace > initrd ? { initrd: milliseconds(userspace - initrd) } : {}),
    ...(userspace > 0 && finish > userspace ? { userspace: milliseconds(finish - userspace) } : {}),
    ...(finish > 0 ? { total: milliseconds(Math.max(firmware, loader) + finish) } : {}),
  };
}

const portUnit = `dev-virtio\\x2dports-${reportPort}.device`;

// By default systemd waits 90 seconds for a device, and an emulated guest on a busy machine takes longer to come to it.
const waitLong = '[Unit]\nJobRunningTimeoutSec=infinity\n';

// Conflicts= without Before=: the unit itself starts the power-off and must not wait for it. BindsTo= the port, because
// udev makes its link late; ConditionPathExists= keeps the unit silent in an initrd, where the credential is seen too.
const reportUnit = `[Unit]
Description=mkimg boot report
DefaultDependencies=no
Conflicts=shutdown.target
ConditionPathExists=!/etc/initrd-release
Requires=basic.target
BindsTo=${portUnit}
After=${portUnit} basic.target multi-user.target
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=exec
ImportCredential=mkimg.*
StandardInput=null
StandardOutput=file:/dev/virtio-ports/${reportPort}
StandardError=inherit
ExecStart=/bin/sh \${CREDENTIALS_DIRECTORY}/mkimg.agent
TimeoutStopSec=10
`;

const noFirstBoot = '[Unit]\nConditionPathExists=/run/mkimg-firstboot-wanted\n';

// The default target of a boot with systemd.run= is kernel-command-line.target, so the rest is started here.
const waitForPort = `n=0
until [ -e /dev/virtio-ports/${reportPort} ]; do
  n=$((n + 1)); [ "$n" -lt 240 ] || exit 1
  sleep 0.5
done
exec >/dev/virtio-ports/${reportPort} 2>&1 </dev/null
systemctl start multi-user.target
`;

// POSIX sh, and nothing beyond what systemd itself needs: the image may hold no other program. Unit names contain
// backslashes (dev-disk-by\\x2d...), which JSON wants doubled.
const agent = `echo '{"event":"booted"}'
printf '{"event":"state","state":"%s"}\\n' "$(systemctl is-system-running --wait 2>/dev/null)"
json() {
  case $1 in *\\\\*) printf '%s' "$1" | sed 's/\\\\/\\\\\\\\/g' ;; *) printf '%s' "$1" ;; esac
}
failed=
for u in $(systemctl list-units --failed --plain --no-legend --no-pager --full 2>/dev/null | while read -r u rest; do echo "$u"; done); do
  failed="$failed$u "
done
printf '{"event":"failed","units":"%s"}\\n' "$(json "$failed")"
for u in $failed; do
  printf '{"event":"log","unit":"%s"}\\n' "$(json "$u")"
  journalctl -b -u "$u" -n 20 -o cat --no-pager 2>/dev/null | while IFS= read -r l || [ -n "$l" ]; do printf '> %s\\n' "$l"; done
done
times=
for p in Firmware Loader InitRD Userspace Finish; do
  t=$(systemctl show -p "\${p}TimestampMonotonic" --value 2>/dev/null)
  times="$times,\\"$p\\":\${t:-0}"
done
printf '{"event":"times"%s}\\n' "$times"
echo '{"event":"done"}'
exit 0
`;
