/** A boot test of a guest that hangs, to be killed: `vm-program.js DISK TOOLS-TREE|host SCRATCH`. */
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import { runBootTest } from '../../src/qemu/boot-test.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';

const [disk = '', tools = '', scratch = ''] = process.argv.slice(2);
await runBootTest(
  {
    machine: {
      machine: x86_64,
      accelerator: 'tcg',
      cpus: 1,
      memory: 64 * 2 ** 20,
      commandLine: [],
      disks: [{ id: 'mkimg', path: hostPath(disk), device: 'virtio-blk', discardWrites: true, bootIndex: 1 }],
      credentials: [],
      console: 'socket',
      ports: [],
      network: 'none',
      tpm: false,
      endOnRestart: true,
      extraArguments: [],
      extraMounts: [],
    },
    channel: 'console',
    timeoutSeconds: 300,
    consoleLog: hostPath(`${scratch}/console.log`),
    signal: new AbortController().signal,
  },
  {
    tools: tools === 'host' ? { kind: 'host' } : { kind: 'tree', path: hostPath(tools) },
    events: silentEvents,
    scratch: hostPath(scratch),
  },
);
