import type { ImplicitFile } from './setting.ts';

/** Files of scripts: mkimg.NAME, mkimg.NAME.chroot unless it makes no sense, and the files of mkimg.NAME.d/. */
export function scripts(name: string, { chroot }: { readonly chroot: boolean }): readonly ImplicitFile[] {
  return [
    { suffix: `.${name}`, type: 'file', use: 'path' },
    ...(chroot ? ([{ suffix: `.${name}.chroot`, type: 'file', use: 'path' }] as const) : []),
    { suffix: `.${name}.d`, type: 'directory', use: 'entries' },
  ];
}
