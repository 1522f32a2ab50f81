/** Settings of mkosi that mkimg does not know yet: they deserve another remark than a typing mistake. */
export const laterSettings: ReadonlySet<string> = new Set(
  `
  BaseTrees BindUser BiosBootloader BuildKey BuildSourcesEphemeral CXL CacheKey CleanScripts ConfigureScripts Dependencies
  Devicetrees DiskType ElTorito ElToritoPublisher ElToritoSystem ElToritoVolume ExtraSearchPaths FirmwareExclude
  FirmwareFiles FirmwareInclude FirmwareVariables ForeignUIDRange ForwardJournal History InitrdProfiles
  InitrdVolatilePackages KernelModules KernelModulesExclude KernelModulesInclude KernelModulesIncludeHost
  KernelModulesInitrdExclude KernelModulesInitrdInclude KernelModulesInitrdIncludeHost Key Linux LocalMirror Machine
  MakeScriptsExecutable MaxMem MicrocodeHost MinimumVersion NSpawnSettings OciAnnotations OciLabels OpenPGPTool
  OutputExtension OutputSize Overlay PackageCacheDirectory PassEnvironment Passphrase PostOutputScripts
  ProxyClientCertificate ProxyClientKey ProxyExclude ProxyPeerCertificate ProxyUrl Register Removable RepartOffline
  RepositoryKeyFetch RuntimeBuildSources RuntimeTrees SELinuxRelabel SecureBoot SecureBootAutoEnroll
  SecureBootCertificate SecureBootCertificateSource SecureBootKey SecureBootKeySource SecureBootSignTool
  ShimBootloader Sign SignExpectedPcr SignExpectedPcrCertificate SignExpectedPcrCertificateSource SignExpectedPcrKey
  SignExpectedPcrKeySource Snapshot Splash Ssh SshCertificate SshKey StorageTargetMode SyncScripts SysupdateDirectory
  ToolsTreeCertificates ToolsTreeDistribution ToolsTreeMirror ToolsTreePackageDirectories ToolsTreePackages
  ToolsTreeProfiles ToolsTreeRelease ToolsTreeRepositories ToolsTreeSandboxTrees UnifiedKernelImageFormat
  UnifiedKernelImageProfiles UnifiedKernelImages UseSubvolumes VSock VSockCID Verity VerityCertificate
  VerityCertificateSource VerityKey VerityKeySource VirtualMachineMonitor VolatilePackageDirectories VolatilePackages
  WorkspaceDirectory
  `
    .trim()
    .split(/\s+/),
);
