import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bootPhases,
  chooseReportChannel,
  parseRecord,
  reportCommandLine,
  reportCredentials,
} from '../../../src/qemu/report.ts';

function credential(channel: 'unit' | 'command-line', name: string): string {
  const found = reportCredentials(channel).find((entry) => entry.name === name);
  return Buffer.from(found?.value ?? []).toString();
}

describe('the channel', () => {
  it.each([
    [undefined, 'unit'],
    [260, 'unit'],
    [256, 'unit'],
    [255, 'command-line'],
    [252, 'command-line'],
    [251, 'console'],
    [0, 'console'],
  ] as const)('of systemd %s is %s', (version, channel) => {
    expect(chooseReportChannel(version)).toBe(channel);
  });

  it('never leaves systemd-firstboot waiting for an answer', () => {
    expect(reportCommandLine('unit')).toContain('systemd.firstboot=no');
    expect(reportCommandLine('command-line')).toContain('systemd.firstboot=no');
    expect(credential('unit', 'systemd.unit-dropin.systemd-firstboot.service')).toContain(
      'ConditionPathExists=',
    );
  });

  it('starts the agent in each way', () => {
    const unit = credential('unit', 'systemd.extra-unit.mkimg-report.service');
    expect(unit).toContain('BindsTo=dev-virtio\\x2dports-mkimg.0.device\n');
    expect(credential('unit', 'systemd.unit-dropin.dev-virtio\\x2dports-mkimg.0.device~20-mkimg')).toContain(
      'JobRunningTimeoutSec=infinity',
    );
    expect(unit).toContain('ExecStart=/bin/sh ${CREDENTIALS_DIRECTORY}/mkimg.agent\n');
    expect(credential('unit', 'systemd.unit-dropin.multi-user.target~20-mkimg')).toContain(
      'Wants=mkimg-report.service',
    );
    expect(reportCommandLine('command-line').join(' ')).toContain('/run/credentials/@system/mkimg.agent"');
    expect(reportCredentials('console')).toEqual([]);
  });
});

/** Runs the agent with these shell functions instead of systemd's programs. */
function runAgent(functions: string): string[] {
  const script = `${functions}\n${credential('unit', 'mkimg.agent')}`;
  return execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).split('\n').slice(0, -1);
}

describe('the agent', () => {
  const times = `case "$*" in *Firmware*) echo 5000000;; *Loader*) echo 1000000;; *Finish*) echo 9000000;; *show*) echo 0;; esac`;

  it('reports a good boot', () => {
    const lines = runAgent(
      `systemctl() { case "$1" in is-system-running) echo running;; show) ${times};; esac; }`,
    );
    expect(lines.map(parseRecord)).toEqual([
      { event: 'booted' },
      { event: 'state', state: 'running' },
      { event: 'failed', units: [] },
      {
        event: 'times',
        times: { firmware: 5000000, loader: 1000000, initrd: 0, userspace: 0, finish: 9000000 },
      },
      { event: 'done' },
    ]);
  });

  it('reports failed units with their logs, whatever they are called and wrote', () => {
    const lines = runAgent(`
      systemctl() { case "$1" in
        is-system-running) echo degraded; return 1;;
        list-units) printf '%s\\n' 'dev-disk-by\\x2dlabel-x.swap loaded failed failed X' 'b.service loaded failed failed Y';;
      esac; }
      journalctl() { printf '{"event":"done"}\\nno newline'; }`);
    expect(lines.map(parseRecord)).toEqual([
      { event: 'booted' },
      { event: 'state', state: 'degraded' },
      { event: 'failed', units: ['dev-disk-by\\x2dlabel-x.swap', 'b.service'] },
      { event: 'log', unit: 'dev-disk-by\\x2dlabel-x.swap' },
      { event: 'line', text: '{"event":"done"}' },
      { event: 'line', text: 'no newline' },
      { event: 'log', unit: 'b.service' },
      { event: 'line', text: '{"event":"done"}' },
      { event: 'line', text: 'no newline' },
      { event: 'times', times: { firmware: 0, loader: 0, initrd: 0, userspace: 0, finish: 0 } },
      { event: 'done' },
    ]);
  });
});

describe('parseRecord', () => {
  it.each(['', 'text', '[]', '1', 'null', '{}', '{"event":"other"}', '{"event":', '>no blank'])(
    'drops %j',
    (text) => {
      expect(parseRecord(text)).toBeUndefined();
    },
  );

  it('takes no wrong types from the guest', () => {
    expect(parseRecord('{"event":"state","state":1}')).toEqual({ event: 'state', state: '' });
    expect(parseRecord('{"event":"failed","units":["x"]}')).toEqual({ event: 'failed', units: [] });
    expect(parseRecord('{"event":"times","Firmware":-1,"Finish":"9","Loader":1e99}')).toEqual({
      event: 'times',
      times: { firmware: 0, loader: 0, initrd: 0, userspace: 0, finish: 0 },
    });
  });

  it('survives any line', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseRecord(text)));
  });
});

describe('bootPhases', () => {
  it('counts as systemd-analyze does', () => {
    // From a machine where systemd-analyze said:
    // 8.2s (firmware) + 1.6s (loader) + 2.5s (kernel) + 4s (initrd) + 10s (userspace) = 26.3s.
    const times = {
      firmware: 9_800_000,
      loader: 1_600_000,
      initrd: 2_500_000,
      userspace: 6_500_000,
      finish: 16_500_000,
    };
    expect(bootPhases(times)).toEqual({
      firmware: 8200,
      loader: 1600,
      kernel: 2500,
      initrd: 4000,
      userspace: 10000,
      total: 26300,
    });
  });

  it('leaves out what the guest does not know', () => {
    const none = { firmware: 0, loader: 0, initrd: 0, userspace: 0, finish: 0 };
    expect(bootPhases(none)).toEqual({});
    expect(bootPhases({ ...none, userspace: 10_000_000, finish: 31_000_000 })).toEqual({
      kernel: 10000,
      userspace: 21000,
      total: 31000,
    });
  });
});
