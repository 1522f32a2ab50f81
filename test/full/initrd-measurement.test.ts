import { expect, it } from 'vitest';
import type { Inspection } from '../../src/initrd/inspect.ts';
import { findFirmware } from '../../src/qemu/firmware.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';
import { ext4On, rootUuid } from '../helpers/boot-scripts.ts';
import { mkimg } from '../helpers/cli.ts';
import { readEventLog, replayed } from '../helpers/event-log.ts';
import { ofSystem } from '../helpers/guest-images.ts';
import { bootSuite } from '../helpers/initrd-boot-suite.ts';
import { bootRoot } from '../helpers/root-boots.ts';
import { vmTools } from '../helpers/tools.ts';

const suite = bootSuite();

it('PCR 9 is what mkimg inspect says', async () => {
  const initrd = ofSystem(['--generic']);
  const { images } = suite.site();
  const inspected = await mkimg(['inspect', '--json', (await initrd(images)).initrd]);
  const { measurement, parts } = JSON.parse(inspected.stdout) as Inspection;
  // All parts that there can be, but for files of the machine.
  expect(parts.map(({ role }) => role)).toEqual(expect.arrayContaining(['microcode', 'base', 'modules']));
  expect(parts[0]).toMatchObject({ role: 'microcode', encoding: 'none' });
  const firmware = await findFirmware(x86_64, await vmTools(), { secureBoot: false });
  const { result, facts } = await bootRoot(
    {
      initrd,
      disks: { first: 1024 },
      prepare: ext4On('"$(disk first)"'),
      commandLine: [`root=UUID=${rootUuid}`, 'rw'],
      machine: () => ({ firmware, tpm: true }),
      ask: `mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security
cat /sys/class/tpm/tpm0/pcr-sha256/9; base64 -w0 /sys/kernel/security/tpm0/binary_bios_measurements`,
    },
    suite.site(),
  );
  expect(result.verdict, result.consoleTail.join('\n')).toEqual({ outcome: 'passed' });
  const [register = '', log = ''] = facts?.more.split(' ') ?? [];
  const events = readEventLog(Buffer.from(log, 'base64'));
  // Before the initrd, the kernel measures its command line.
  const measured = events.filter((event) => event.register === 9);
  expect(measured).toHaveLength(2);
  expect(measured[1]?.digest).toBe(measurement);
  expect(replayed(events, 9)).toBe(register.toLowerCase());
});
