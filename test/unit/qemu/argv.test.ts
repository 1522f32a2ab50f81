import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { VmOptions } from '../../../src/qemu/argv.ts';
import { qemuArgv, quoteOption } from '../../../src/qemu/argv.ts';
import { x86_64 } from '../../../src/qemu/machines/x86-64.ts';

const bare: VmOptions = {
  accelerator: 'tcg',
  cpus: 1,
  memory: 2 ** 31,
  commandLineByControl: false,
  disks: [],
  console: { kind: 'none' },
  display: 'none',
  controlFd: 3,
  ports: [],
  smbiosFiles: [],
  fwCfgFiles: [],
  network: 'none',
  forwards: [],
  machineOptions: [],
  sharedDirectories: [],
  endOnRestart: false,
  extra: [],
};

const disk = { id: 'mkimg', path: '/images/mkimg', format: 'raw', device: 'virtio-blk' } as const;

/** Values of every occurrence of a flag. */
function valuesOf(argv: readonly string[], flag: string): readonly string[] {
  return argv.flatMap((word, index) => (word === flag ? [argv[index + 1] ?? ''] : []));
}

describe('qemuArgv', () => {
  it('describes a machine with nothing in it', () => {
    expect(qemuArgv(x86_64, bare)).toEqual(
      [
        ['-machine', 'q35'],
        ['-accel', 'tcg'],
        ['-cpu', 'max'],
        ['-smp', '1'],
        ['-m', '2048M'],
        ['-nodefaults', '-no-user-config'],
        ['-chardev', 'socket,id=control,fd=3', '-mon', 'chardev=control,mode=control'],
        ['-display', 'none'],
        ['-device', 'virtio-rng-pci'],
        ['-device', 'pvpanic-pci'],
        ['-nic', 'none'],
      ].flat(),
    );
  });

  it('boots a disk by firmware for a test', () => {
    const argv = qemuArgv(x86_64, {
      ...bare,
      memory: 2 ** 30,
      firmware: { code: '/fw/CODE.fd', variables: '/fw/VARS.fd', secureBoot: false },
      disks: [{ ...disk, discardWrites: true, bootIndex: 1 }],
      console: { kind: 'socket', fd: 4, hasMonitor: false },
      ports: [{ name: 'mkimg.0', fd: 5 }],
      smbiosFiles: ['/run/mkimg/smbios-0'],
      fwCfgFiles: [{ name: 'opt/io.systemd.credentials/x', path: '/run/mkimg/fw-cfg-0' }],
      network: 'user',
      endOnRestart: true,
      extra: ['-device', 'VGA'],
    });
    expect(argv).toEqual(
      [
        ['-machine', 'q35'],
        ['-accel', 'tcg'],
        ['-cpu', 'max'],
        ['-smp', '1'],
        ['-m', '1024M'],
        ['-nodefaults', '-no-user-config'],
        ['-chardev', 'socket,id=control,fd=3', '-mon', 'chardev=control,mode=control'],
        ['-display', 'none'],
        ['-chardev', 'socket,id=console,fd=4'],
        ['-serial', 'chardev:console'],
        ['-device', 'virtio-rng-pci'],
        ['-device', 'pvpanic-pci'],
        ['-action', 'reboot=shutdown,panic=exit-failure'],
        ['-drive', 'if=pflash,unit=0,format=raw,readonly=on,file=/fw/CODE.fd'],
        ['-drive', 'if=pflash,unit=1,format=raw,snapshot=on,file=/fw/VARS.fd'],
        [
          '-drive',
          'if=none,id=mkimg,format=raw,snapshot=on,cache=unsafe,discard=unmap,file=/images/mkimg',
          '-device',
          'virtio-blk-pci,drive=mkimg,id=disk-mkimg,serial=mkimg,bootindex=1',
        ],
        ['-device', 'virtio-serial-pci,id=ports'],
        ['-chardev', 'socket,id=port0,fd=5'],
        ['-device', 'virtserialport,bus=ports.0,chardev=port0,name=mkimg.0'],
        ['-smbios', 'type=11,path=/run/mkimg/smbios-0'],
        ['-fw_cfg', 'name=opt/io.systemd.credentials/x,file=/run/mkimg/fw-cfg-0'],
        ['-netdev', 'user,id=net0', '-device', 'virtio-net-pci,romfile=,netdev=net0'],
        ['-device', 'VGA'],
      ].flat(),
    );
  });

  it('puts the console and the monitor on one socket, where that is wished for', () => {
    const console = { kind: 'socket', fd: 4, hasMonitor: true } as const;
    const argv = qemuArgv(x86_64, { ...bare, console });
    expect(valuesOf(argv, '-chardev')).toContain('socket,id=console,fd=4,mux=on');
    expect(valuesOf(argv, '-mon')).toContain('chardev=console,mode=readline');
  });

  it('opens a window only where one is asked for, and has a screen without one', () => {
    const argvs = (['none', 'spare', 'hidden', 'window'] as const).map((display) =>
      qemuArgv(x86_64, { ...bare, display }),
    );
    expect(argvs.map((argv) => valuesOf(argv, '-display'))).toEqual([
      ...[['none'], ['none'], ['none'], ['gtk']],
    ]);
    expect(argvs.map((argv) => valuesOf(argv, '-device').includes('virtio-vga'))).toEqual([
      ...[false, true, true, true],
    ]);
  });

  it('opens ports of the loopback address alone', () => {
    const forwards = [
      { protocol: 'tcp', host: 8080, guest: 80 },
      { protocol: 'udp', host: 5353, guest: 53 },
    ] as const;
    expect(valuesOf(qemuArgv(x86_64, { ...bare, network: 'user', forwards }), '-netdev')).toEqual([
      'user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:5353-:53',
    ]);
  });

  it('takes an interface of the host, a vsock address and options of the machine', () => {
    const argv = qemuArgv(x86_64, {
      ...bare,
      network: { interface: 'vt-web' },
      vsockCid: 7,
      machineOptions: ['cxl=on'],
    });
    expect(valuesOf(argv, '-netdev')).toEqual(['tap,id=net0,ifname=vt-web,script=no,downscript=no']);
    expect(valuesOf(argv, '-device')).toContain('vhost-vsock-pci,guest-cid=7');
    expect(valuesOf(argv, '-machine')).toEqual(['q35,cxl=on']);
  });

  it('serves directories itself where nobody else does, and then needs no shared memory', () => {
    const argv = qemuArgv(x86_64, { ...bare, sharedDirectories: [{ tag: 'mkimg0', path: '/shares/a,b' }] });
    expect(valuesOf(argv, '-virtfs')).toEqual([
      'local,path=/shares/a,,b,id=share0,mount_tag=mkimg0,security_model=none,multidevs=remap',
    ]);
    expect(argv).not.toContain('-object');
  });

  it('lets firmware change variables only where they are kept', () => {
    const firmware = { code: '/c', variables: '/v', secureBoot: false };
    const drives = [false, true].map((keepsVariables) =>
      valuesOf(qemuArgv(x86_64, { ...bare, firmware: { ...firmware, keepsVariables } }), '-drive').at(-1),
    );
    expect(drives).toEqual([
      'if=pflash,unit=1,format=raw,snapshot=on,file=/v',
      'if=pflash,unit=1,format=raw,file=/v',
    ]);
  });

  it('ends or stays when the guest restarts or panics', () => {
    const actions = (endOnRestart: boolean, pauseOnPanic: boolean): readonly string[] =>
      valuesOf(qemuArgv(x86_64, { ...bare, endOnRestart, pauseOnPanic }), '-action');
    expect(actions(false, false)).toEqual([]);
    expect(actions(true, false)).toEqual(['reboot=shutdown,panic=exit-failure']);
    expect(actions(true, true)).toEqual(['reboot=shutdown,panic=pause']);
    expect(actions(false, true)).toEqual(['panic=pause']);
  });

  it('locks the variables of firmware with Secure Boot', () => {
    const firmware = { code: '/c', variables: '/v', secureBoot: true };
    const argv = qemuArgv(x86_64, { ...bare, firmware });
    expect(valuesOf(argv, '-machine')).toEqual(['q35,smm=on']);
    expect(valuesOf(argv, '-global')).toEqual([
      'driver=cfi.pflash01,property=secure,value=on',
      'ICH9-LPC.disable_s3=1',
    ]);
  });

  it('starts a kernel with an initrd and a command line', () => {
    const kernel = {
      path: '/images/kernel',
      initrd: '/images/initrd',
      commandLine: 'root=root console=ttyS0',
    };
    const argv = qemuArgv(x86_64, { ...bare, kernel });
    expect(valuesOf(argv, '-kernel')).toEqual(['/images/kernel']);
    expect(valuesOf(argv, '-initrd')).toEqual(['/images/initrd']);
    expect(valuesOf(argv, '-append')).toEqual(['root=root console=ttyS0']);
  });

  it('shares memory with the server of a directory', () => {
    const argv = qemuArgv(x86_64, { ...bare, sharedDirectories: [{ tag: 'root', socket: '/run/mkimg/s' }] });
    expect(valuesOf(argv, '-machine')).toEqual(['q35,memory-backend=memory']);
    expect(valuesOf(argv, '-object')).toEqual(['memory-backend-memfd,id=memory,size=2048M,share=on']);
    expect(valuesOf(argv, '-m')).toEqual(['2048M']);
    expect(valuesOf(argv, '-device')).toContain('vhost-user-fs-pci,chardev=share0,tag=root');
  });

  it('gives each kind of disk its controller, and none to a drive that other arguments use', () => {
    const devices = (['virtio-blk', 'virtio-scsi', 'scsi-cd', 'nvme', 'none'] as const).map((device) => {
      const argv = qemuArgv(x86_64, { ...bare, disks: [{ ...disk, device, discardWrites: false }] });
      return valuesOf(argv, '-device');
    });
    expect(devices.map((list) => list.filter((device) => !/rng|panic/.test(device)))).toEqual([
      ['virtio-blk-pci,drive=mkimg,id=disk-mkimg,serial=mkimg'],
      ['virtio-scsi-pci,id=scsi', 'scsi-hd,drive=mkimg,id=disk-mkimg,serial=mkimg'],
      ['virtio-scsi-pci,id=scsi', 'scsi-cd,drive=mkimg,id=disk-mkimg,serial=mkimg'],
      ['nvme,drive=mkimg,id=disk-mkimg,serial=mkimg'],
      [],
    ]);
  });

  it('writes through to a disk that is kept', () => {
    const argv = qemuArgv(x86_64, { ...bare, disks: [{ ...disk, discardWrites: false }] });
    expect(valuesOf(argv, '-drive')).toEqual([
      'if=none,id=mkimg,format=raw,discard=unmap,file=/images/mkimg',
    ]);
  });

  it('connects a TPM', () => {
    const argv = qemuArgv(x86_64, { ...bare, tpmSocket: '/run/mkimg/tpm/control' });
    expect(valuesOf(argv, '-chardev')).toContain('socket,id=tpm,path=/run/mkimg/tpm/control');
    expect(valuesOf(argv, '-device')).toContain('tpm-crb,tpmdev=tpm0');
  });

  it('uses the host CPU with KVM', () => {
    const argv = qemuArgv(x86_64, { ...bare, accelerator: 'kvm', cpus: 4 });
    expect([valuesOf(argv, '-accel'), valuesOf(argv, '-cpu'), valuesOf(argv, '-smp')]).toEqual([
      ['kvm'],
      ['host'],
      ['4'],
    ]);
  });

  it('leaves room for more memory only if more is asked for', () => {
    const sizes = [undefined, 2 ** 30, 2 ** 32].map((maximumMemory) =>
      valuesOf(qemuArgv(x86_64, { ...bare, ...(maximumMemory && { maximumMemory }) }), '-m'),
    );
    expect(sizes).toEqual([['2048M'], ['2048M'], ['2048M,slots=16,maxmem=4096M']]);
  });
});

describe('quoteOption', () => {
  it('keeps any value in one option, as QEMU reads it', () => {
    // QEMU ends a value at a comma that is not doubled.
    const unquote = (text: string): string =>
      (/^((?:[^,]|,,)*)(?:,(?!,)|$)/.exec(text)?.[1] ?? '').replaceAll(',,', ',');
    fc.assert(
      fc.property(fc.string(), (value) => {
        expect(unquote(quoteOption(value))).toBe(value);
      }),
    );
  });
});
