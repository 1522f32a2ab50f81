import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  GuestChannel,
  interpreterOf,
  longestScript,
  requestText,
  scriptFault,
} from '../../../../src/qemu/guest/channel.ts';
import type { GuestRecord } from '../../../../src/qemu/guest/report.ts';

const token = '0123456789abcdef';

/** A channel whose other end is the test. */
function channelFor(): { channel: GuestChannel; guest: Duplex; records: GuestRecord[] } {
  // What the guest says is pushed by the test; what it is told goes nowhere.
  const guest = new Duplex({ read: () => undefined, write: (_chunk, _encoding, taken) => taken() });
  const records: GuestRecord[] = [];
  const channel = new GuestChannel(guest, token, {
    agent: 'true\n',
    newId: () => 'id',
    onRecord: (record) => records.push(record),
  });
  return { channel, guest, records };
}

describe('requestText', () => {
  it('ends a script where the agent looks for its end', () => {
    expect(requestText('1', { interpreter: ['/bin/sh', '-e'], text: '.\n\nx\n' })).toBe(
      'run 1 /bin/sh -e\n>.\n>\n>x\n.\n',
    );
  });

  it('refuses what the agent cannot read', () => {
    expect(scriptFault('x'.repeat(longestScript + 1))).toMatch(/bytes/);
    expect(scriptFault('a\0b')).toMatch(/UTF-8/);
    expect(scriptFault('a\uFFFDb')).toMatch(/UTF-8/);
    expect(scriptFault('x'.repeat(longestScript))).toBeUndefined();
    expect(() => requestText('1', { interpreter: ['/bin/sh'], text: '\0' })).toThrow(/internal/);
  });
});

describe('interpreterOf', () => {
  it.each<readonly [string, readonly string[]]>([
    ['echo', ['/bin/sh']],
    ['#!/bin/bash\necho', ['/bin/bash']],
    ['#! /usr/bin/python3 -I\nprint()', ['/usr/bin/python3', '-I']],
    ['#!/usr/bin/env python3', ['/usr/bin/env', 'python3']],
    ['#!relative', ['/bin/sh']],
    ['\n#!/bin/bash', ['/bin/sh']],
  ])('of %j', (text, interpreter) => {
    expect(interpreterOf(text)).toEqual(interpreter);
  });
});

describe('a hostile guest', () => {
  it('gets no memory for a line without an end', async () => {
    const { channel, guest } = channelFor();
    const end = channel.run({ interpreter: ['/bin/sh'], text: 'x' });
    const part = Buffer.alloc(1024 * 1024, 'x');
    guest.push(`${token} out id `);
    for (let count = 0; count < 20; count++) guest.push(part);
    guest.push(`\n${token} exit id 0\n`);
    const { stdout, isCut } = await end;
    expect([stdout, isCut]).toEqual(['', true]);
  });

  it('gets none for lines without number, in a request or outside of one', async () => {
    const { channel, guest, records } = channelFor();
    const end = channel.run({ interpreter: ['/bin/sh'], text: 'x' });
    const flood = `${token} out id \n${token} err other x\nnonsense\n{"event":\n\u001b[2J\n`.repeat(100_000);
    guest.push(flood);
    guest.push(`${token} exit other 0\n${token} exit id 300\n${token} exit id 1\n`);
    const { stdout, stderr, status, isCut } = await end;
    expect([stderr, status, isCut, records]).toEqual(['', 1, true, []]);
    expect(stdout.length).toBeLessThan(100_000);
  });

  it('is answered for by nobody after a restart', async () => {
    const { channel, guest } = channelFor();
    let ended = false;
    void channel.run({ interpreter: ['/bin/sh'], text: 'x' }).then(() => (ended = true));
    channel.forget();
    guest.push(`${token} exit id 0\n`);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(false);
  });

  it('does no harm with any bytes, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
        const { guest, records } = channelFor();
        for (const chunk of chunks) guest.push(chunk);
        expect(records).toEqual([]);
      }),
    );
  });

  it('is read the same however its lines are cut', async () => {
    const text = `${token} hello\n${token} state läuft\n${token} failed a.service\n`;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (sizes) => {
        const { guest, records } = channelFor();
        const bytes = Buffer.from(text);
        let at = 0;
        for (let turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          guest.push(bytes.subarray(at, at + size));
          at += size;
        }
        await new Promise((resolve) => setImmediate(resolve));
        expect(records.map(({ event }) => event)).toEqual(['hello', 'state', 'failed']);
      }),
    );
  });
});
