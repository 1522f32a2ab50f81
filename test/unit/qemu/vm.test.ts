import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { qemuArgv } from '../../../src/qemu/argv.ts';
import { directoryServerArgv, tpmArgv } from '../../../src/qemu/companions.ts';
import { unchangeable } from '../../../src/qemu/boot-test.ts';
import { textCredential } from '../../../src/qemu/credentials.ts';
import { overlayArgv } from '../../../src/qemu/disk-files.ts';
import { withAgent } from '../../../src/qemu/guest/guest.ts';
import { machineFor } from '../../../src/qemu/machines/index.ts';
import { x86_64 } from '../../../src/qemu/machines/x86-64.ts';
import type { VmRequest } from '../../../src/qemu/vm.ts';
import { planGuest, vmOptions } from '../../../src/qemu/vm.ts';
import { vmSandbox } from '../../../src/qemu/vm-sandbox.ts';

const request: VmRequest = {
  machine: x86_64,
  accelerator: 'tcg',
  cpus: 2,
  memory: 2 ** 30,
  commandLine: ['console=ttyS0'],
  disks: [
    { id: 'mkimg', path: hostPath('/out/a,b.raw'), device: 'virtio-blk', discardWrites: true, bootIndex: 1 },
    { id: 'scratch', path: hostPath('/var/tmp/s'), device: 'virtio-blk', discardWrites: false },
  ],
  credentials: [],
  console: 'socket',
  ports: ['mkimg.0', 'mkimg.1'],
  network: 'user',
  tpm: false,
  endOnRestart: true,
  extraArguments: [],
  extraMounts: [],
};
const noCredentials = { smbios: [], fwCfg: [], commandLine: [] };
const run = hostPath('/var/tmp/mkimg-vm-x');
const tools = { kind: 'tree', path: hostPath('/tools') } as const;

describe('vmOptions', () => {
  it('numbers the inherited sockets: control, console, ports', () => {
    const options = vmOptions(request, noCredentials, { shares: [] });
    expect([options.controlFd, options.console, options.ports]).toEqual([
      3,
      { kind: 'socket', fd: 4, hasMonitor: false },
      [
        { name: 'mkimg.0', fd: 5 },
        { name: 'mkimg.1', fd: 6 },
      ],
    ]);
    const silent = vmOptions({ ...request, console: 'none' }, noCredentials, { shares: [] });
    expect(silent.ports[0]).toEqual({ name: 'mkimg.0', fd: 4 });
    const monitored = vmOptions({ ...request, console: 'monitor' }, noCredentials, { shares: [] });
    expect([monitored.console, monitored.ports[0]?.fd]).toEqual([
      { kind: 'socket', fd: 4, hasMonitor: true },
      5,
    ]);
  });

  it('hides the names of images behind their ids', () => {
    const { disks } = vmOptions(request, noCredentials, { shares: [] });
    expect(disks.map(({ path, format }) => [path, format])).toEqual([
      ['/images/mkimg', 'raw'],
      ['/images/scratch', 'raw'],
    ]);
  });

  it('shows a throw-away disk that was grown through its overlay', () => {
    const disks = request.disks.map((disk) => ({ ...disk, size: 2 ** 33 }));
    const options = vmOptions({ ...request, disks }, noCredentials, { shares: [] });
    expect(options.disks).toMatchObject([
      { path: '/run/mkimg/mkimg.qcow2', format: 'qcow2', discardWrites: false, bootIndex: 1 },
      { path: '/images/scratch', format: 'raw' },
    ]);
    expect(overlayArgv('/images/mkimg', '/run/mkimg/mkimg.qcow2', 2 ** 33)).toEqual(
      ['create -q -f qcow2 -F raw -b /images/mkimg /run/mkimg/mkimg.qcow2 8589934592'.split(' ')].flat(),
    );
  });

  it('hands the command line to a kernel of its own, but not to a unified one', () => {
    const path = hostPath('/out/k');
    const lines = [false, true].map(
      (unified) =>
        vmOptions({ ...request, kernel: { path, unified } }, noCredentials, { shares: [] }).kernel
          ?.commandLine,
    );
    expect(lines).toEqual(['console=ttyS0', undefined]);
  });

  it('keeps credentials on the command line out of its own arguments', () => {
    const kernel = { path: hostPath('/out/k'), unified: false };
    const machine = machineFor('s390x');
    const credentials = [textCredential('a.b', 'secret')];
    const given = { ...request, machine, kernel, credentials };
    const plan = planGuest(given);
    expect(plan.commandLine).toEqual(['systemd.set_credential_binary=a.b:c2VjcmV0']);
    const options = vmOptions(given, plan, { shares: [] });
    const argv = qemuArgv(machine, options);
    expect(argv).toContain('-preconfig');
    expect(argv).not.toContain('-append');
    expect(argv.join(' ')).not.toContain('c2VjcmV0');
    const plain = vmOptions(given, planGuest({ ...given, credentials: [] }), { shares: [] });
    expect(qemuArgv(machine, plain)).toEqual(expect.arrayContaining(['-append', 'console=ttyS0']));
    expect(qemuArgv(machine, plain)).not.toContain('-preconfig');
  });

  it('names the files of credentials', () => {
    const plan = {
      smbios: ['a', 'b'],
      fwCfg: [{ name: 'opt/x', content: Buffer.from('') }],
      commandLine: [],
    };
    const options = vmOptions(request, plan, { shares: [], tpmSocket: '/run/mkimg/tpm/control' });
    expect(options).toMatchObject({
      smbiosFiles: ['/run/mkimg/smbios-0', '/run/mkimg/smbios-1'],
      fwCfgFiles: [{ name: 'opt/x', path: '/run/mkimg/fw-cfg-0' }],
      tpmSocket: '/run/mkimg/tpm/control',
    });
  });
});

describe('vmSandbox', () => {
  it('shows images that are not written read-only, and only its own directory besides', () => {
    expect(vmSandbox(request, tools, run)).toEqual({
      tools,
      mounts: [
        { source: run, target: '/run/mkimg', mode: 'rw' },
        { source: '/out/a,b.raw', target: '/images/mkimg', mode: 'ro' },
        { source: '/var/tmp/s', target: '/images/scratch', mode: 'rw' },
      ],
      network: true,
      env: { TMPDIR: '/run/mkimg' },
      suppressSync: false,
      suppressChown: false,
    });
  });

  it('shows the variables of firmware where they have a file of their own', () => {
    const firmware = { code: '/c', variables: '/v', secureBoot: false };
    const kept = { ...request, firmware, firmwareState: hostPath('/var/tmp/variables') };
    const mount = { source: '/var/tmp/variables', target: '/firmware/variables', mode: 'rw' };
    expect(vmSandbox(kept, tools, run).mounts).toContainEqual(mount);
    const plan = { smbios: [], fwCfg: [], commandLine: [] };
    expect(vmOptions(kept, plan, { shares: [] }).firmware).toEqual({
      ...{ code: '/c', variables: '/firmware/variables', secureBoot: false, keepsVariables: true },
    });
    // A machine that starts a kernel without firmware has none.
    const bare = { ...request, firmwareState: hostPath('/var/tmp/variables') };
    expect(vmSandbox(bare, tools, run).mounts).not.toContainEqual(mount);
  });

  it('opens /dev/kvm only where it is used', () => {
    const kvm = { source: '/dev/kvm', target: '/dev/kvm', mode: 'dev' };
    expect(vmSandbox({ ...request, accelerator: 'kvm' }, tools, run).mounts).toContainEqual(kvm);
    expect(vmSandbox(request, tools, run).mounts).not.toContainEqual(kvm);
  });

  it('shows the directories that QEMU serves, and the devices that the machine uses', () => {
    const shares = [
      { tag: 'mkimg0', path: hostPath('/src'), via: '9p' },
      { tag: 'mkimg1', path: hostPath('/other'), via: 'virtiofs' },
    ] as const;
    const network = { interface: 'vt-web' };
    const { mounts } = vmSandbox({ ...request, shares, network, vsockCid: 3 }, tools, run);
    expect(mounts.slice(3)).toEqual([
      { source: '/src', target: '/shares/mkimg0', mode: 'rw' },
      { source: '/dev/net/tun', target: '/dev/net/tun', mode: 'dev' },
      { source: '/dev/vhost-vsock', target: '/dev/vhost-vsock', mode: 'dev' },
    ]);
  });

  it('has no network where the machine has none', () => {
    expect(vmSandbox({ ...request, network: 'none' }, tools, run).network).toBe(false);
  });
});

describe('the machine of a boot test', () => {
  const token = '0123456789abcdef';

  it('changes nothing that was built, and ends when the guest restarts', () => {
    const rootDirectory = { path: hostPath('/out/tree'), discardWrites: false };
    const machine = unchangeable({ ...request, rootDirectory, endOnRestart: false });
    expect(machine.disks.every(({ discardWrites }) => discardWrites)).toBe(true);
    expect(machine).toMatchObject({ rootDirectory: { discardWrites: true }, endOnRestart: true });
  });

  it('has the agent, and a port to it', () => {
    const machine = withAgent({ ...request, console: 'none', ports: [] }, 'unit', token);
    expect(machine).toMatchObject({ console: 'socket', ports: ['mkimg.0'] });
    expect(machine.credentials.map(({ name }) => name)).toContain('systemd.extra-unit.mkimg-report.service');
    expect(machine.commandLine).toContain('systemd.firstboot=no');
  });

  it('asks nothing of a guest that only has a console', () => {
    const machine = withAgent(request, 'console', token);
    expect([machine.ports, machine.credentials]).toEqual([[], []]);
  });

  it('makes a guest patient where it is emulated', () => {
    const wordsOn = (accelerator: VmRequest['accelerator']): string =>
      withAgent({ ...request, accelerator }, 'unit', token).commandLine.join(' ');
    expect(wordsOn('tcg')).toContain('systemd.default_device_timeout_sec=600');
    expect(wordsOn('kvm')).not.toContain('timeout');
  });
});

describe('companions', () => {
  it('serves a directory inside a sandbox that has nothing else', () => {
    expect(directoryServerArgv('/run/mkimg/root.sock', '/share', true)).toEqual(
      [
        ['--socket-path', '/run/mkimg/root.sock'],
        ['--shared-dir', '/share'],
        ['--sandbox', 'none'],
        ['--inode-file-handles=never'],
        ['--xattr'],
        ['--cache', 'always'],
      ].flat(),
    );
    expect(directoryServerArgv('/s', '/share', false)).toContain('auto');
  });

  it('keeps the state of a TPM with the machine', () => {
    expect(tpmArgv('/run/mkimg/tpm', '/state')).toEqual(
      [
        ['socket', '--tpm2', '--terminate'],
        ['--tpmstate', 'dir=/state'],
        ['--ctrl', 'type=unixio,path=/run/mkimg/tpm/control'],
        ['--seccomp', 'action=none'],
      ].flat(),
    );
  });
});
