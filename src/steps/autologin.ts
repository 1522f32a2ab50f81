import { treePath } from '../base/brand.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import { architectures } from '../distro/architectures/index.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { TreeStep } from './implementation.ts';

/** A getty unit and the options of agetty that are its own. */
interface Getty {
  readonly unit: string;
  readonly options: string;
}

/** Units that log root in: the container's console, the screen, the architecture's serial console and virtio's. */
export function autologinGettys(architecture: ArchitectureName): readonly Getty[] {
  const consoles = new Set([architectures[architecture].console, 'hvc0']);
  return [
    { unit: 'console-getty.service', options: '--noclear --keep-baud console 115200,38400,9600' },
    { unit: 'getty@tty1.service', options: '--noclear -' },
    ...Array.from(consoles, (name) => ({
      unit: `serial-getty@${name}.service`,
      options: '--keep-baud 115200,57600,38400,9600 -',
    })),
  ];
}

/** The drop-in that makes a getty unit log root in without a password. */
export function autologinDropIn(options: string): string {
  return [
    '# Made by mkimg because of Autologin=.',
    '[Service]',
    // An empty value first: without it, systemd would have two commands.
    'ExecStart=',
    // `-f`: login(1) asks for no password. `\\\\u` is agetty's `\\u`, the user, after systemd took one level of quoting.
    `ExecStart=-/sbin/agetty -o '-f -p -- \\\\u' --autologin root ${options} $TERM`,
    // agetty opens its terminal from standard input where `-` stands in place of its name.
    'StandardInput=tty',
    'StandardOutput=tty',
    '',
  ].join('\n');
}

/** Logs root in on all consoles. */
export const autologin: TreeStep<'autologin'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run(inputs, root) {
    const tree = treeAt(root);
    for (const { unit, options } of autologinGettys(inputs.architecture)) {
      const path = treePath(`usr/lib/systemd/system/${unit}.d/autologin.conf`);
      await tree.writeText(path, autologinDropIn(options));
    }
  },
};
