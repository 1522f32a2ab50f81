/** Other architectures in software: one as a whole system, of the others a kernel that QEMU loads. */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { architectureNames, architectures } from '../../src/distro/architectures/index.ts';
import { openSource } from '../../src/formats/bytes.ts';
import { detectKernel } from '../../src/formats/kernel.ts';
import { findFirmware } from '../../src/qemu/firmware.ts';
import { needsFirmware } from '../../src/qemu/machine-request.ts';
import { machineFor } from '../../src/qemu/machines/index.ts';
import { archiveTree } from '../helpers/archive-tree.ts';
import { bootForeign, foreignGuest, foreignHost, kernelArchitecture } from '../helpers/foreign-guest.ts';
import { buildAndTest } from '../helpers/whole-system.ts';

const whole = 'arm64';
const others = architectureNames.filter((name) => name !== whole && name !== 'x86-64');
const images = resolve(import.meta.dirname, '../../images');

let directory: TemporaryDirectory;
beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-architectures-');
});
afterAll(() => directory[Symbol.asyncDispose]());

describe.concurrent('on another architecture', () => {
  it(`images/minimal for ${whole} comes up, and does what its test says`, async () => {
    const archive = await archiveTree(directory.path, 'trixie');
    await buildAndTest([
      ...['-C', `${images}/minimal`, `--output-directory=${directory.path}/whole`],
      ...[`--architecture=${whole}`, `--sandbox-tree=${archive}`],
    ]);
  });

  it.each(others)('a kernel boots on %s, and gets all of its command line', async (architecture) => {
    const { kernel, initrd } = await foreignGuest(architecture, directory.path);
    const machine = machineFor(architecture);
    using source = openSource(kernel);
    expect(architectures[architecture].kernel.formats).toContain(detectKernel(source)?.format);
    const { tools } = await foreignHost(architecture, directory.path);
    const needs = needsFirmware(machine, {
      firmware: 'none',
      kernel: { path: kernel, unified: false },
      commandLine: [],
    });
    const credential = { name: 'a.name-that-is-too-long-for-fw-cfg', value: Buffer.from('x,"y"') };
    const request = {
      kernel: { path: kernel, initrd, unified: false },
      credentials: [credential],
      ports: ['mkimg.0'],
      ...(needs ? { firmware: await findFirmware(machine, tools, { secureBoot: false }) } : {}),
    };
    const { uname, commandLine = '' } = await bootForeign(architecture, request, directory.path);
    expect(uname).toBe(architectures[kernelArchitecture(architecture)].uname);
    expect(commandLine).toContain(`console=${machine.console}`);
    const hasSmbios = machine.channels.smbios === 'always' || needs;
    expect(commandLine.includes(`${credential.name}:${credential.value.toString('base64')}`)).toBe(
      !hasSmbios,
    );
  });
});
