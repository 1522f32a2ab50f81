import { describe, expect, it } from 'vitest';
import type { TestAction, TestStep } from '../../../../src/config/tests/definition.ts';
import { hasConnection } from '../../../../src/qemu/testing/ports.ts';
import { impossibleSteps } from '../../../../src/qemu/testing/possible.ts';
import { scaleOf } from '../../../../src/qemu/testing/time-scale.ts';

const step = (action: TestAction): TestStep => ({
  action,
  label: action.kind,
  timeout: undefined,
  origin: { kind: 'default' },
});

const text = { json: [] };
const steps: readonly TestStep[] = (
  [
    { kind: 'boot', goal: 'up' },
    { kind: 'wait-for-unit', units: ['a.service'] },
    { kind: 'run', script: { text: 'x' }, exitStatus: 0, stdout: text },
    { kind: 'file', path: '/x', content: text },
    { kind: 'port', port: 22, received: text },
    { kind: 'console', expression: 'x' },
    { kind: 'type', text: 'x' },
    { kind: 'keys', chords: [['a']] },
    { kind: 'screenshot', name: 'x' },
    { kind: 'power', change: 'reboot' },
    { kind: 'power', change: 'off' },
    { kind: 'power', change: 'cut' },
    { kind: 'unplug', drive: 'x' },
  ] as const
).map(step);

describe('steps that are impossible', () => {
  const impossible = (abilities: Parameters<typeof impossibleSteps>[1]): readonly string[] =>
    impossibleSteps(steps, abilities).map(({ message }) => message);

  it('are none where there is an agent and a network', () => {
    expect(impossible({ channel: 'unit', hasNetwork: true })).toEqual([]);
    expect(impossible({ channel: 'command-line', hasNetwork: true })).toEqual([]);
  });

  it('are those that ask the guest, where it only has a console', () => {
    expect(impossible({ channel: 'console', hasNetwork: true })).toEqual([
      'wait-for-unit needs a guest with systemd 252 or later',
      'run needs a guest with systemd 252 or later',
      'file needs a guest with systemd 252 or later',
      'power needs a guest with systemd 252 or later',
      'power needs a guest with systemd 252 or later',
    ]);
  });

  it('are ports without a network', () => {
    expect(impossible({ channel: 'unit', hasNetwork: false })).toEqual(['port needs a network']);
  });
});

describe('the scale of times', () => {
  it('is two at least, and follows the emulator', () => {
    const end = { kind: 'exited', exitCode: 33, stderr: [] } as const;
    expect([20, 110, 220, 1000, 60_000].map((milliseconds) => scaleOf(end, milliseconds))).toEqual([
      2, 2, 4, 18.2, 20,
    ]);
    expect(scaleOf({ kind: 'stalled', seconds: 1 }, 1000)).toBe(20);
  });
});

describe("QEMU's table of connections", () => {
  // As QEMU 10 writes it.
  const table = `Hub -1 (net0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   33       127.0.0.1 45678       10.0.2.15    22     0     0
  TCP[SYN_SENT]      34       127.0.0.1 45679       10.0.2.15    23     0     0
  TCP[HOST_FORWARD]  12       127.0.0.1 45680       10.0.2.15    24     0     0
  TCP[ESTABLISHED]   35       10.0.2.15 45681       192.0.2.1    25     0     0
  UDP[236 sec]       17       10.0.2.15 49601        10.0.2.3    53     0     0
`;

  it('shows which the guest has accepted', () => {
    const found = [22, 23, 24, 25].map((guest, index) => hasConnection(table, 45678 + index, guest));
    expect(found).toEqual([true, false, false, false]);
    expect(hasConnection(table, 45679, 22)).toBe(false);
    expect(hasConnection('', 1, 1)).toBe(false);
  });
});
