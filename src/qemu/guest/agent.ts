import { randomBytes } from 'node:crypto';
import type { Credential } from '../credentials.ts';
import { commandLineWord, textCredential } from '../credentials.ts';

/** How a guest is talked to. */
export type GuestChannelKind =
  /** An agent that arrives as a unit in a credential (systemd 256 and later). */
  | 'unit'
  /** The same for machines whose guests get credentials from the kernel command line alone: one unit that holds the loader. */
  | 'small-unit'
  /** The same agent, started from the kernel command line (systemd 252 to 255). */
  | 'command-line'
  /** Nothing but the text on the serial console. */
  | 'console';

/** Virtio port between the agent and the host. */
export const agentPort = 'mkimg.0';

/** Stands in front of each line of the agent of one machine, so that nothing else in the guest is taken for it. */
export function newToken(): string {
  return randomBytes(8).toString('hex');
}

/**
 * Chooses by the image's systemd version: undefined when it is not known, 0 when the image has no systemd.
 * @param room where credentials can only stand on the kernel command line: bytes that are free there
 */
export function chooseChannel(systemdVersion: number | undefined, room?: number): GuestChannelKind {
  const takesUnits = systemdVersion === undefined || systemdVersion >= 256;
  if (room !== undefined) return takesUnits && room >= smallUnitBytes() ? 'small-unit' : 'console';
  if (takesUnits) return 'unit';
  return systemdVersion >= 252 ? 'command-line' : 'console';
}

/** What the smallest agent takes of a kernel command line. */
function smallUnitBytes(): number {
  const words = [
    ...agentCredentials('small-unit', newToken()).map(commandLineWord),
    ...agentCommandLine('small-unit'),
  ];
  return Buffer.byteLength(words.join(' ')) + 1;
}

/** Credentials that bring the agent into the guest. */
export function agentCredentials(channel: GuestChannelKind, token: string): Credential[] {
  switch (channel) {
    case 'unit':
      return [
        textCredential('systemd.extra-unit.mkimg-report.service', agentUnit),
        textCredential(
          'systemd.unit-dropin.multi-user.target~20-mkimg',
          '[Unit]\nWants=mkimg-report.service\n',
        ),
        textCredential('systemd.unit-dropin.systemd-firstboot.service', noFirstBoot),
        textCredential(`systemd.unit-dropin.${portUnit}~20-mkimg`, waitLong),
        textCredential('mkimg.agent', loaderScript(token)),
      ];
    case 'small-unit':
      return [textCredential(`systemd.extra-unit.${smallUnitName}`, smallUnit(token))];
    case 'command-line':
      return [textCredential('mkimg.agent', `${openPort}${loaderScript(token)}`)];
    case 'console':
      return [];
  }
}

/** Words for the kernel command line that go with the credentials. */
export function agentCommandLine(channel: GuestChannelKind): string[] {
  // systemd-firstboot asks on the console for ever when the image has no machine-id, and nobody is there to answer.
  const always = ['systemd.firstboot=no'];
  if (channel === 'small-unit') return [...always, `systemd.wants=${smallUnitName}`];
  if (channel !== 'command-line') return always;
  // systemd-run --no-block: in a start job of its own, `is-system-running --wait` would wait for itself.
  const start = [
    'systemd-run --no-block -u mkimg-report -p FailureAction=poweroff -p RuntimeDirectory=mkimg-report',
    '/bin/sh /run/credentials/@system/mkimg.agent',
  ].join(' ');
  return [
    ...always,
    `systemd.run="${start}"`,
    'systemd.run_success_action=none',
    'systemd.run_failure_action=poweroff',
  ];
}

const portUnit = `dev-virtio\\x2dports-${agentPort}.device`;

// By default systemd waits 90 seconds for a device, and an emulated guest on a busy machine takes longer to come to it.
const waitLong = '[Unit]\nJobRunningTimeoutSec=infinity\n';

// It begins as early as its port is there, to be asked why a boot hangs, and stays when emergency.target takes over.
// Conflicts= without Before=: the power-off must not wait for it. BindsTo= the port, because udev makes its link late;
// ConditionPathExists= keeps the unit silent in an initrd, where the credential is seen too. The port can be opened
// once at a time: systemd opens a file that is both input and output once.
const agentUnit = `[Unit]
Description=mkimg boot report
DefaultDependencies=no
IgnoreOnIsolate=yes
Conflicts=shutdown.target
ConditionPathExists=!/etc/initrd-release
BindsTo=${portUnit}
After=${portUnit}
FailureAction=poweroff
[Service]
Type=exec
ImportCredential=mkimg.*
RuntimeDirectory=mkimg-report
StandardInput=file:/dev/virtio-ports/${agentPort}
StandardOutput=file:/dev/virtio-ports/${agentPort}
StandardError=journal
ExecStart=/bin/sh \${CREDENTIALS_DIRECTORY}/mkimg.agent
TimeoutStopSec=10
`;

const smallUnitName = 'mkimg.service';

/**
 * The unit in as few bytes as can be, because some kernel command lines have 1 KiB. It waits for the port by itself, and it is no
 * part of an initrd, in which systemd.wants= has no effect. The colon keeps systemd from the shell's variables; systemd
 * makes the newline.
 */
function smallUnit(token: string): string {
  const script = [
    `p=/dev/virtio-ports/${agentPort};until [ -e $p ];do sleep 1;done;exec <>$p >&0;echo ${token} hello;`,
    'while IFS= read -r l&&[ "$l" != . ];do a="$a\\n$l";done;eval "$a"',
  ].join('');
  return `[Unit]
DefaultDependencies=no
IgnoreOnIsolate=1
Conflicts=shutdown.target
FailureAction=poweroff
[Service]
RuntimeDirectory=mkimg-report
TimeoutStopSec=10
ExecStart=:sh -c '${script}'
`;
}

const noFirstBoot = '[Unit]\nConditionPathExists=/run/mkimg-firstboot-wanted\n';

const openPort = `n=0
until [ -e /dev/virtio-ports/${agentPort} ]; do
  n=$((n + 1)); [ "$n" -lt 240 ] || exit 1
  sleep 0.5
done
exec 0<>/dev/virtio-ports/${agentPort} 1>&0
`;

/** Where the agent's files are; systemd makes and removes the directory. */
const runDirectory = '/run/mkimg-report';

/**
 * Says that it is there, and becomes what then comes from the port, up to a line with a dot. So that the credential is
 * small: some machines have no more room for it than a kernel command line has.
 */
export function loaderScript(token: string, directory = runDirectory): string {
  // Whoever wrote to the port before may not have ended his line.
  return `echo;echo ${token} hello
while IFS= read -r l && [ "$l" != . ]; do printf '%s\\n' "$l"; done >${directory}/agent
. ${directory}/agent
`;
}

/** What the host sends to the loader. */
export function agentFor(channel: GuestChannelKind, token: string): string {
  // Where systemd was started for one command, it is that command that starts the rest.
  return agentScript(token, channel === 'command-line' ? 'systemctl start multi-user.target' : ':');
}

/** Kinds of units whose start is worth a line in the boot report. */
const reportedUnits = "'*.service' '*.mount' '*.swap' '*.target'";

/**
 * What runs in the guest: POSIX sh, and nothing beyond what systemd itself needs, because the image may hold no other
 * program. Each request runs beside the others, so that a command that hangs does not keep the journal back.
 * @param beforeReport a command that ends when the boot has finished, where `is-system-running --wait` does not tell
 */
export function agentScript(token: string, beforeReport = ':', directory = runDirectory): string {
  return `t=${token}
d=${directory}
say() { printf '%s %s\\n' "$t" "$*"; }
lines() { while IFS= read -r l || [ -n "$l" ]; do printf '%s %s %s\\n' "$t" "$1" "$l"; done; }
report() {
  ${beforeReport}
  say state "$(systemctl is-system-running --wait 2>/dev/null)"
  systemctl list-units --failed --plain --no-legend --no-pager --full 2>/dev/null | while read -r u rest; do
    say failed "$u"
    journalctl -b -u "$u" -n 20 -o cat --no-pager 2>/dev/null | lines log
  done
  systemctl show -p FirmwareTimestampMonotonic -p LoaderTimestampMonotonic -p InitRDTimestampMonotonic \\
    -p UserspaceTimestampMonotonic -p FinishTimestampMonotonic 2>/dev/null | lines times
  systemctl show -p Id -p InactiveExitTimestampMonotonic -p ActiveEnterTimestampMonotonic \\
    ${reportedUnits} 2>/dev/null | lines unit
  while read -r k v rest; do case $k in MemTotal:|MemAvailable:) say memory "$k$v" ;; esac; done </proc/meminfo
  say done
}
answer() {
  { { { set -f; $2 "$d/$1" </dev/null 3>&- 4>&-; echo $? >"$d/$1.status"; } 2>&1 >&3 3>&- | lines "err $1" >&4
  } 3>&1 | lines "out $1"; }
  read -r s <"$d/$1.status"
  say exit "$1" "$s"
}
unset CREDENTIALS_DIRECTORY
export HOME=/root
cd /
exec 4>&1
report </dev/null &
while IFS= read -r q; do
  case $q in
  'run '*)
    q=\${q#run }
    while IFS= read -r l && [ "$l" != . ]; do printf '%s\\n' "\${l#>}"; done >"$d/\${q%% *}"
    answer "\${q%% *}" "\${q#* }" &
    ;;
  power-off) systemctl start --no-block --job-mode=replace-irreversibly poweroff.target || exit 1 ;;
  reboot) systemctl start --no-block --job-mode=replace-irreversibly reboot.target || exit 1 ;;
  esac
done
`;
}
