import type { StepKind } from '../plan/step.ts';
import { aptSources } from './apt-sources.ts';
import { autologin } from './autologin.ts';
import { buildDisk } from './build-disk.ts';
import { buildGrub } from './build-grub.ts';
import { buildUki } from './build-uki.ts';
import { addDlopens } from './add-dlopens.ts';
import { checkDlopens } from './check-dlopens.ts';
import { cleanTraces } from './clean-traces.ts';
import { compress } from './compress.ts';
import { copyTrees } from './copy-trees.ts';
import { depmod } from './depmod.ts';
import { extractPackages } from './extract-packages.ts';
import { extractFiles } from './extract-files.ts';
import { extractKernels } from './extract-kernels.ts';
import { firstboot } from './firstboot.ts';
import { hwdb } from './hwdb.ts';
import { identity } from './identity.ts';
import type { StepImplementation } from './implementation.ts';
import { indexModules } from './index-modules.ts';
import { installBootLoader } from './install-boot-loader.ts';
import { installPackages } from './install-packages.ts';
import { joinInitrds } from './join-initrds.ts';
import { makeFileSystem } from './make-file-system.ts';
import { makeInitrd } from './make-initrd.ts';
import { cleanPackageMetadata } from './clean-package-metadata.ts';
import { manifest } from './manifest.ts';
import { removePackages } from './remove-packages.ts';
import { mergeTree } from './merge-tree.ts';
import { packCpio } from './pack-cpio.ts';
import { packDirectory } from './pack-directory.ts';
import { packKernelModules } from './pack-kernel-modules.ts';
import { packTar } from './pack-tar.ts';
import { pickNewest } from './pick-newest.ts';
import { placeKernels } from './place-kernels.ts';
import { presets } from './presets.ts';
import { removeFiles } from './remove-files.ts';
import { removeUnusedLibraries } from './remove-unused-libraries.ts';
import { resolvePackages } from './resolve-packages.ts';
import { runBuildScripts } from './run-build-scripts.ts';
import { runPostoutputScripts } from './run-postoutput-scripts.ts';
import { runScriptsStep } from './run-scripts.ts';
import { selectBase } from './select-base.ts';
import { sysusers } from './sysusers.ts';
import { tmpfiles } from './tmpfiles.ts';
import { unpackPackages } from './unpack-packages.ts';

/** What runs each kind of step. */
export const catalogue = {
  'resolve-packages': resolvePackages,
  'add-dlopens': addDlopens,
  'check-dlopens': checkDlopens,
  'extract-files': extractFiles,
  'select-base': selectBase,
  'extract-packages': extractPackages,
  'unpack-packages': unpackPackages,
  'install-packages': installPackages,
  'apt-sources': aptSources,
  'clean-package-metadata': cleanPackageMetadata,
  manifest,
  'remove-packages': removePackages,
  'copy-trees': copyTrees,
  'merge-tree': mergeTree,
  'run-scripts': runScriptsStep,
  'run-build-scripts': runBuildScripts,
  'run-postoutput-scripts': runPostoutputScripts,
  'remove-files': removeFiles,
  'remove-unused-libraries': removeUnusedLibraries,
  'place-kernels': placeKernels,
  'index-modules': indexModules,
  depmod,
  hwdb,
  sysusers,
  tmpfiles,
  presets,
  identity,
  firstboot,
  autologin,
  'make-initrd': makeInitrd,
  'install-boot-loader': installBootLoader,
  'clean-traces': cleanTraces,
  'pack-cpio': packCpio,
  'pack-tar': packTar,
  'pack-directory': packDirectory,
  'pack-kernel-modules': packKernelModules,
  'join-initrds': joinInitrds,
  'extract-kernels': extractKernels,
  'build-uki': buildUki,
  'make-file-system': makeFileSystem,
  'build-grub': buildGrub,
  'build-disk': buildDisk,
  'pick-newest': pickNewest,
  compress,
} as const satisfies { readonly [K in StepKind]: StepImplementation<K> };
