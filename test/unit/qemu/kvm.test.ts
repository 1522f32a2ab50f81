import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { chooseAccelerator, judgeHost, judgeProbe, parseKnown } from '../../../src/qemu/kvm.ts';
import { x86_64 } from '../../../src/qemu/machines/x86-64.ts';
import { probeRom, probeRomDigest } from '../../../src/qemu/probe/rom.ts';
import { probeArgv } from '../../../src/qemu/probe/run.ts';

const cpuinfo = (flags: string): string =>
  `processor\t: 0\nmodel name\t: svm 9000\nflags\t\t: ${flags}\nbugs\t: vmx\n`;
const good = { architecture: 'x86-64', device: 'open', cpuinfo: cpuinfo('fpu vmx sse') } as const;

describe('judgeHost', () => {
  it('wants a probe where everything looks good', () => {
    expect(judgeHost(x86_64, good)).toBe('probe');
    expect(judgeHost(x86_64, { ...good, cpuinfo: cpuinfo('svm') })).toBe('probe');
    expect(judgeHost({ ...x86_64, kvm: { hosts: ['x86-64'], probe: false } }, good)).toEqual({
      usable: true,
    });
  });

  it.each([
    ['the device', { ...good, device: 'missing' }, /does not exist/],
    ['permission', { ...good, device: 'denied' }, /permission/],
    ['a device that works', { ...good, device: 'unusable' }, /cannot be opened/],
    ['a CPU that virtualises', { ...good, cpuinfo: cpuinfo('fpu sse') }, /vmx or svm/],
    ['anything about the CPU', { ...good, cpuinfo: '' }, /vmx or svm/],
    ['a host of that architecture', { ...good, architecture: 'arm64' }, /arm64/],
  ] as const)('does without KVM on a host without %s', (_, host, reason) => {
    const verdict = judgeHost(x86_64, host);
    expect(verdict).toMatchObject({ usable: false });
    expect(verdict).toHaveProperty('reason', expect.stringMatching(reason));
  });
});

describe('judgeProbe', () => {
  it('trusts only a guest that came to its end', () => {
    expect(judgeProbe({ kind: 'exited', exitCode: 33, stderr: [] })).toEqual({ usable: true });
  });

  it.each([
    [{ kind: 'stalled', seconds: 1 }, /did not finish within 1 s/],
    // A triple fault ends QEMU with 0.
    [{ kind: 'exited', exitCode: 0, stderr: [] }, /exit code 0/],
    [
      { kind: 'exited', exitCode: 1, stderr: ['a', 'failed to initialize kvm: Permission denied'] },
      /Permission denied/,
    ],
  ] as const)('does not trust %j', (end, reason) => {
    expect(judgeProbe(end)).toHaveProperty('reason', expect.stringMatching(reason));
  });
});

describe('parseKnown', () => {
  it('knows what was found during this boot', () => {
    expect(parseKnown('{"bootId":"b","usable":true}', 'b')).toEqual({ usable: true });
    expect(parseKnown('{"bootId":"b","usable":false,"reason":"r"}', 'b')).toEqual({
      usable: false,
      reason: 'r',
    });
  });

  it.each([
    undefined,
    '',
    '{',
    'null',
    '{}',
    '{"bootId":"old","usable":true}',
    '{"bootId":"b"}',
    '{"bootId":"b","usable":false}',
  ])('knows nothing from %j', (text) => {
    expect(parseKnown(text, 'b')).toBeUndefined();
  });
});

describe('chooseAccelerator', () => {
  const works = () => Promise.resolve({ usable: true } as const);
  const fails = () => Promise.resolve({ usable: false, reason: 'of this' } as const);

  it('takes KVM where it works, unless told not to', async () => {
    expect(await chooseAccelerator('auto', works)).toEqual({ accelerator: 'kvm' });
    expect(await chooseAccelerator(true, works)).toEqual({ accelerator: 'kvm' });
    expect(await chooseAccelerator(false, () => Promise.reject(new Error('must not look')))).toEqual({
      accelerator: 'tcg',
    });
  });

  it('says why it does without', async () => {
    const choice = await chooseAccelerator('auto', fails);
    expect(choice.accelerator).toBe('tcg');
    expect(choice.note).toMatch(/of this/);
  });

  it('fails where KVM is demanded', async () => {
    await expect(chooseAccelerator(true, fails)).rejects.toMatchObject({ code: 'kvm-unusable' });
  });
});

describe('the probe', () => {
  it('is the assembled source', () => {
    const rom = probeRom();
    expect(rom.length).toBe(65536);
    expect(createHash('sha256').update(rom).digest('hex')).toBe(probeRomDigest);
  });

  it('runs without firmware, disks and configuration files', () => {
    expect(probeArgv(x86_64, 'kvm', '/run/mkimg/rom')).toEqual(
      [
        ['-machine', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '16'],
        ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
        ['-bios', '/run/mkimg/rom'],
        ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
        ['-serial', 'null'],
      ].flat(),
    );
  });
});
