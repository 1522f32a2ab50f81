import { expressionsAsPatterns, list, moduleExpressions } from '../codecs/collections.ts';
import { boolean } from '../codecs/scalars.ts';
import { constant, setting } from '../setting.ts';

export const KernelModules = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  oldForms: { KernelModulesInclude: expressionsAsPatterns },
  effect: 'later',
  summary: 'Kernel modules to keep',
  doc: `Names, paths or wildcards; a \`-\` before one leaves modules out; the last that matches counts. \`default\` stands for what a
generic image needs and \`host\` for the modules that are loaded here. An empty list keeps all.`,
});

export const KernelModulesExclude = setting({
  codec: moduleExpressions,
  fallback: constant([]),
  scope: 'local',
  effect: 'later',
  summary: 'Kernel modules to leave out, by regular expressions',
  doc: `An older form of KernelModules=.`,
});

export const KernelModulesIncludeHost = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  effect: 'later',
  summary: 'Keep the kernel modules that are loaded here',
  doc: `An older form of \`host\` in KernelModules=.`,
});

export const KernelModulesInitrd = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'local',
  summary: 'Put kernel modules into an initrd segment',
  doc: 'One segment for each kernel of the image, behind the initrds.',
});

export const KernelInitrdModules = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  oldForms: { KernelModulesInitrdInclude: expressionsAsPatterns },
  summary: 'Kernel modules for that segment',
  doc: `Names or wildcards; a \`-\` before one leaves modules out; the last that matches counts. \`default\` stands for what
a generic initrd needs to find and mount a root file system; a list that is empty, or only leaves modules out, begins with it.`,
});

export const KernelModulesInitrdExclude = setting({
  codec: moduleExpressions,
  fallback: constant([]),
  scope: 'local',
  effect: 'later',
  summary: 'Modules to leave out of the initrd segment',
  doc: `An older form of KernelInitrdModules=, with regular expressions.`,
});

export const KernelModulesInitrdIncludeHost = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  effect: 'later',
  summary: 'Put the modules that are loaded here into the segment',
  doc: `An older form of \`host\` in KernelInitrdModules=.`,
});

export const FirmwareFiles = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  oldForms: { FirmwareInclude: expressionsAsPatterns },
  effect: 'later',
  summary: 'Firmware files to keep',
  doc: `Names or wildcards below the directory of firmware; a \`-\` before one leaves files out. What the kept modules ask for is
always kept.`,
});

export const FirmwareExclude = setting({
  codec: moduleExpressions,
  fallback: constant([]),
  scope: 'local',
  effect: 'later',
  summary: 'Firmware files to leave out, by regular expressions',
  doc: `An older form of FirmwareFiles=.`,
});
