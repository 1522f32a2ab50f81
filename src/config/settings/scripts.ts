import { globList } from '../codecs/collections.ts';
import { scripts } from '../implicit-files.ts';
import { constant, setting } from '../setting.ts';

export const SyncScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  inTools: true,
  flags: { long: 'sync-script' },
  implicit: scripts('sync', { chroot: false }),
  summary: 'Scripts that fetch sources before the build',
  doc: `They run on the host side with network, before any image is built, and update checkouts in the build sources. A build
without network skips them.`,
});

export const PrepareScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  inTools: true,
  flags: { long: 'prepare-script' },
  implicit: scripts('prepare', { chroot: true }),
  oldNames: ['PrepareScript'],
  summary: 'Scripts to run after packages were installed',
  doc: 'They have network. A script whose name ends in `.chroot` runs inside of the image.',
});

export const BuildScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'build-script' },
  implicit: scripts('build', { chroot: true }),
  oldNames: ['BuildScript'],
  summary: 'Scripts that build software',
  doc: 'What they put into $DESTDIR is copied into the image. They run on a copy with BuildPackages= installed.',
});

export const PostInstallationScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'postinst-script' },
  implicit: scripts('postinst', { chroot: true }),
  oldNames: ['PostInstallationScript'],
  summary: 'Scripts that adapt the image',
  doc: 'They run after extra trees and build results were copied.',
});

export const FinalizeScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'finalize-script' },
  implicit: scripts('finalize', { chroot: true }),
  oldNames: ['FinalizeScript'],
  summary: 'Scripts that have the last word',
  doc: 'They run when the tree is finished, before it is packed.',
});

export const PostOutputScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'postoutput-script' },
  implicit: scripts('postoutput', { chroot: false }),
  summary: 'Scripts that work on the finished outputs',
  doc: `They run when all output files are written, find them in $OUTPUTDIR, and may add files of their own.`,
});
