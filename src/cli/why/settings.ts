import type { SettingName } from '../../config/settings/table.ts';
import { settingOfPhase } from '../../plan/scripts.ts';
import type { Step } from '../../plan/step.ts';

/** Which of the user's settings stands behind a place of a step's inputs. */
interface Row {
  /** Kinds of steps, or all. */
  readonly kinds?: readonly Step['kind'][];
  /** Matched at the beginning of the path below `inputs.`. */
  readonly path: string;
  readonly setting: SettingName | ((step: Step) => SettingName);
}

function variantOf({ id }: Step): string | undefined {
  return /:([^:/]+)$/.exec(id)?.[1];
}

function packagesSetting(step: Step): SettingName {
  return variantOf(step) === 'build' ? 'BuildPackages' : 'Packages';
}

function treesSetting(step: Step): SettingName {
  return variantOf(step) === 'skeleton' ? 'SkeletonTrees' : 'ExtraTrees';
}

function scriptsSetting({ inputs }: Step): SettingName {
  return 'phase' in inputs ? settingOfPhase[inputs.phase] : 'PostInstallationScripts';
}

/** The first row that matches counts. */
const rows: readonly Row[] = [
  { path: 'environment.SOURCE_DATE_EPOCH', setting: 'SourceDateEpoch' },
  { path: 'environment.IMAGE_ID', setting: 'ImageId' },
  { path: 'environment.IMAGE_VERSION', setting: 'ImageVersion' },
  { path: 'environment.PROFILES', setting: 'Profiles' },
  { path: 'environment.RELEASE', setting: 'Release' },
  { path: 'environment.WITH_DOCS', setting: 'WithDocs' },
  { path: 'environment.WITH_TESTS', setting: 'WithTests' },
  { path: 'environment.WITH_NETWORK', setting: 'WithNetwork' },
  { path: 'environment', setting: 'Environment' },
  { path: 'epoch', setting: 'SourceDateEpoch' },
  { path: 'architecture', setting: 'Architecture' },
  { path: 'documentation', setting: 'WithDocs' },
  { path: 'bootable', setting: 'Bootable' },
  { path: 'repositories.checkSignatures', setting: 'RepositoryKeyCheck' },
  { path: 'repositories.checkValidUntil', setting: 'CheckValidUntil' },
  { path: 'repositories.sandboxTrees', setting: 'SandboxTrees' },
  { path: 'request.names', setting: packagesSetting },
  { path: 'request.files', setting: packagesSetting },
  { path: 'request.recommends', setting: 'WithRecommends' },
  { path: 'request.packageDirectories', setting: 'PackageDirectories' },
  { kinds: ['remove-packages'], path: 'names', setting: 'RemovePackages' },
  { kinds: ['add-dlopens', 'check-dlopens'], path: 'policy', setting: 'DlopenPolicy' },
  { kinds: ['remove-files'], path: 'patterns', setting: 'RemoveFiles' },
  { kinds: ['remove-unused-libraries'], path: 'patterns', setting: 'RemoveUnusedLibraries' },
  { kinds: ['copy-trees'], path: 'trees', setting: treesSetting },
  { path: 'scripts', setting: scriptsSetting },
  { path: 'network', setting: 'WithNetwork' },
  { path: 'sources', setting: 'BuildSources' },
  { kinds: ['install-packages'], path: 'skipKnownScripts', setting: 'SkipKnownScripts' },
  { kinds: ['identity'], path: 'imageId', setting: 'ImageId' },
  { kinds: ['identity'], path: 'imageVersion', setting: 'ImageVersion' },
  { path: 'hostname', setting: 'Hostname' },
  { path: 'machineId', setting: 'MachineId' },
  { path: 'localeMessages', setting: 'LocaleMessages' },
  { path: 'locale', setting: 'Locale' },
  { path: 'keymap', setting: 'Keymap' },
  { path: 'timezone', setting: 'Timezone' },
  { path: 'rootShell', setting: 'RootShell' },
  { path: 'rootPassword', setting: 'RootPassword' },
  { path: 'compression.algorithm', setting: 'CompressOutput' },
  { path: 'compression.level', setting: 'CompressLevel' },
  { kinds: ['join-initrds'], path: 'segments', setting: 'Initrds' },
  { path: 'commandLine', setting: 'KernelCommandLine' },
  { path: 'definitions', setting: 'RepartDirectories' },
  { path: 'seed', setting: 'Seed' },
  { path: 'sectorSize', setting: 'SectorSize' },
  { path: 'bootLoader', setting: 'Bootloader' },
  { kinds: ['manifest'], path: 'image.version', setting: 'ImageVersion' },
  { kinds: ['manifest'], path: 'image.name', setting: 'ImageId' },
];

/** The setting that a place of a step's identity (`inputs.trees.0.source.$host`) comes from; undefined for others. */
export function settingBehind(step: Step, path: string): SettingName | undefined {
  const place = path.replace(/^inputs\./, '');
  const found = rows.find(
    ({ kinds, path: prefix }) =>
      (kinds === undefined || kinds.includes(step.kind)) &&
      (place === prefix || place.startsWith(`${prefix}.`)),
  );
  return typeof found?.setting === 'function' ? found.setting(step) : found?.setting;
}
