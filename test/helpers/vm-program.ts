/** A boot test of a guest that hangs, to be killed: `vm-program.js DISK TOOLS-TREE|host SCRATCH`. */
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import { runBootTest } from '../../src/qemu/boot-test.ts';
import { bareMachine } from './bare-machine.ts';

const [disk = '', tools = '', scratch = ''] = process.argv.slice(2);
await runBootTest(
  {
    machine: bareMachine(hostPath(disk), { console: 'socket' }),
    channel: 'console',
    timeoutSeconds: 300,
    timeScale: 1,
    results: hostPath(scratch),
    signal: new AbortController().signal,
  },
  {
    tools: tools === 'host' ? { kind: 'host' } : { kind: 'tree', path: hostPath(tools) },
    events: silentEvents,
    scratch: hostPath(scratch),
  },
);
