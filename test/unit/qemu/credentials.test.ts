import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GuestChannels } from '../../../src/qemu/credentials.ts';
import {
  commandLineStrings,
  credentialSizeLimit,
  fwCfgNameLimit,
  guestChannels,
  planCredentials,
  planFitting,
  smbiosLimit,
  textCredential,
} from '../../../src/qemu/credentials.ts';

const channels: GuestChannels = { smbios: true, fwCfg: true, commandLine: 0 };

function big(name: string, bytes: number): ReturnType<typeof textCredential> {
  return textCredential(name, 'x'.repeat(bytes));
}

describe('planCredentials', () => {
  it('sends small ones by SMBIOS, whatever they hold', () => {
    expect(planCredentials([textCredential('a.b', 'x,"y"\n=')], channels, ['io.systemd.stub.x=1'])).toEqual({
      smbios: ['io.systemd.stub.x=1', 'io.systemd.credential.binary:a.b=eCwieSIKPQ=='],
      fwCfg: [],
      commandLine: [],
    });
  });

  it('sends the largest by fw_cfg when they do not all fit', () => {
    const plan = planCredentials([big('small', 10), big('large', 50_000), big('medium', 30_000)], channels);
    expect(plan.fwCfg.map(({ name }) => name)).toEqual(['opt/io.systemd.credentials/large']);
    expect(plan.fwCfg[0]?.content.length).toBe(50_000);
    expect(plan.smbios.map((text) => text.split('=')[0])).toEqual([
      'io.systemd.credential.binary:small',
      'io.systemd.credential.binary:medium',
    ]);
  });

  it('moves another one when the name of the largest is too long for fw_cfg', () => {
    const long = 'n'.repeat(fwCfgNameLimit + 1);
    const plan = planCredentials([big(long, 30_000), big('short', 20_000)], channels);
    expect(plan.fwCfg.map(({ name }) => name)).toEqual(['opt/io.systemd.credentials/short']);
  });

  it('refuses what fits nowhere, and names the culprit', () => {
    const long = 'n'.repeat(fwCfgNameLimit + 1);
    expect(() => planCredentials([big(long, 50_000)], channels)).toThrow(/do not fit into SMBIOS/);
    expect(() => planCredentials([big('short', 50_000)], { ...channels, fwCfg: false })).toThrow(
      /do not fit/,
    );
    expect(() => planCredentials([], channels, ['x'.repeat(smbiosLimit + 1)])).toThrow(/do not fit/);
  });

  it('refuses more than systemd takes', () => {
    expect(() => planCredentials([big('a', credentialSizeLimit + 1)], channels)).toThrow(/together/);
  });

  it.each(['', '.', '..', 'a/b', 'a=b', 'a:b', 'a b', 'a\nb', 'x'.repeat(256)])(
    'refuses the name %j',
    (name) => {
      expect(() => planCredentials([textCredential(name, '')], channels)).toThrow(/not a name/);
    },
  );

  it('never exceeds what SMBIOS holds, and loses nothing', () => {
    const credential = fc.record({
      name: fc.stringMatching(/^[a-z.~_-]{3,40}$/),
      size: fc.integer({ min: 0, max: 40_000 }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(credential, { maxLength: 12, selector: ({ name }) => name }), (list) => {
        const credentials = list.map(({ name, size }) => big(name, size));
        let plan;
        try {
          plan = planCredentials(credentials, channels);
        } catch {
          return;
        }
        const bytes = plan.smbios.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
        expect(bytes).toBeLessThanOrEqual(smbiosLimit);
        expect(plan.smbios.length + plan.fwCfg.length).toBe(credentials.length);
        for (const { name } of plan.fwCfg) expect(name.length).toBeLessThanOrEqual(55);
      }),
    );
  });
});

describe('guests without SMBIOS', () => {
  const bare: GuestChannels = { smbios: false, fwCfg: false, commandLine: 300 };

  it('get credentials by fw_cfg where the name is short enough, else on the command line', () => {
    const long = textCredential('n'.repeat(fwCfgNameLimit + 1), 'x,"y"\n=');
    const plan = planCredentials([textCredential('short', 'v'), long], { ...bare, fwCfg: true });
    expect(plan).toEqual({
      smbios: [],
      fwCfg: [{ name: 'opt/io.systemd.credentials/short', content: Buffer.from('v') }],
      commandLine: [`systemd.set_credential_binary=${long.name}:eCwieSIKPQ==`],
    });
  });

  it('get no more than the command line holds', () => {
    const room = Buffer.byteLength(' systemd.set_credential_binary=a:') + 4;
    const one = [textCredential('a', 'xyz')];
    expect(planCredentials(one, { ...bare, commandLine: room }).commandLine).toHaveLength(1);
    expect(() => planCredentials(one, { ...bare, commandLine: room - 1 })).toThrow(/has \d+ left/);
    expect(() => planCredentials(one, { ...bare, commandLine: 0 })).toThrow(/no way for credentials/);
    expect(planCredentials([], { ...bare, commandLine: 0 }).commandLine).toEqual([]);
  });

  it('are told from others by the machine and what it is put together with', () => {
    const channelsOf = (
      smbios: 'always' | 'firmware' | 'never',
      hasFirmware: boolean,
      [room, commandLine]: readonly [number, readonly string[]] = [0, []],
    ): GuestChannels =>
      guestChannels({ smbios, fwCfg: false, commandLine: 100 }, { hasFirmware, room, commandLine });
    expect(channelsOf('always', false).smbios).toBe(true);
    expect(channelsOf('firmware', false).smbios).toBe(false);
    expect(channelsOf('firmware', true).smbios).toBe(true);
    expect(channelsOf('never', true).smbios).toBe(false);
    expect(channelsOf('never', false).commandLine).toBe(0);
    expect(channelsOf('never', false, [99, ['quiet', 'ro']]).commandLine).toBe(99 - 'quiet ro'.length);
    expect(channelsOf('never', false, [99, ['x'.repeat(200)]]).commandLine).toBe(0);
  });
});

describe('planFitting', () => {
  const needed = textCredential('needed', 'x');
  const optional = ['first', 'second'].map((name) => ({ ...big(name, 60), isOptional: true as const }));
  const names = (commandLine: number): readonly string[] =>
    planFitting([needed, ...optional], { smbios: false, fwCfg: false, commandLine }).commandLine.map(
      (word) => word.split(/[=:]/)[1] ?? '',
    );

  it('leaves out what the guest can do without, the last first, where there is no room', () => {
    expect(names(1000)).toEqual(['needed', 'first', 'second']);
    expect(names(260)).toEqual(['needed', 'first']);
    expect(names(100)).toEqual(['needed']);
    expect(() => names(10)).toThrow(/do not fit/);
  });

  it('says nothing where there is no way at all and nothing is needed', () => {
    expect(planFitting(optional, { smbios: false, fwCfg: false, commandLine: 0 }).commandLine).toEqual([]);
  });
});

describe('commandLineStrings', () => {
  it('speaks to the stub and to the boot loader', () => {
    expect(commandLineStrings(['console=ttyS0', 'a="b c"'])).toEqual([
      'io.systemd.stub.kernel-cmdline-extra=console=ttyS0 a="b c"',
      'io.systemd.boot.kernel-cmdline-extra=console=ttyS0 a="b c"',
    ]);
  });

  it('says nothing about nothing', () => {
    expect(commandLineStrings([])).toEqual([]);
  });
});
