/**
 * Which package has a library: what systemd and others open when they run (dlopen notes of Debian 12 and 13). Names by
 * release, newest first; those that end in t64 are there since Debian 13.
 */
export const debianLibraries: Readonly<Record<string, readonly string[]>> = {
  'libacl.so.1': ['libacl1'],
  'libapparmor.so.1': ['libapparmor1'],
  'libarchive.so.13': ['libarchive13t64', 'libarchive13'],
  'libaudit.so.1': ['libaudit1'],
  'libblkid.so.1': ['libblkid1'],
  'libbpf.so.0': ['libbpf0'],
  'libbpf.so.1': ['libbpf1'],
  'libcrypt.so.1': ['libcrypt1'],
  'libcrypto.so.3': ['libssl3t64', 'libssl3'],
  'libcryptsetup.so.12': ['libcryptsetup12'],
  'libcurl.so.4': ['libcurl4t64', 'libcurl4'],
  'libdw.so.1': ['libdw1t64', 'libdw1'],
  'libelf.so.1': ['libelf1t64', 'libelf1'],
  'libfdisk.so.1': ['libfdisk1'],
  'libfido2.so.1': ['libfido2-1'],
  'libgcrypt.so.20': ['libgcrypt20'],
  'libgnutls.so.30': ['libgnutls30t64', 'libgnutls30'],
  'libidn2.so.0': ['libidn2-0'],
  'libip4tc.so.2': ['libip4tc2'],
  'libkmod.so.2': ['libkmod2'],
  'liblz4.so.1': ['liblz4-1'],
  'liblzma.so.5': ['liblzma5'],
  'libmicrohttpd.so.12': ['libmicrohttpd12t64', 'libmicrohttpd12'],
  'libmount.so.1': ['libmount1'],
  'libp11-kit.so.0': ['libp11-kit0'],
  'libpam.so.0': ['libpam0g'],
  'libpcre2-8.so.0': ['libpcre2-8-0'],
  'libpwquality.so.1': ['libpwquality1'],
  'libqrencode.so.4': ['libqrencode4'],
  'libseccomp.so.2': ['libseccomp2'],
  'libselinux.so.1': ['libselinux1'],
  'libssl.so.3': ['libssl3t64', 'libssl3'],
  'libtss2-esys.so.0': ['libtss2-esys-3.0.2-0t64', 'libtss2-esys-3.0.2-0'],
  'libtss2-mu.so.0': ['libtss2-mu-4.0.1-0t64', 'libtss2-mu0'],
  'libtss2-rc.so.0': ['libtss2-rc0t64', 'libtss2-rc0'],
  'libtss2-tcti-device.so.0': ['libtss2-tcti-device0t64', 'libtss2-tcti-device0'],
  'libxkbcommon.so.0': ['libxkbcommon0'],
  'libzstd.so.1': ['libzstd1'],
};

/** Names that the package of a library may have, best first: from the table, else by Debian Policy 8.1. */
export function libraryPackages(soname: string): readonly string[] {
  const known = debianLibraries[soname];
  if (known !== undefined) return known;
  const [, name, version] = /^(.+)\.so\.([0-9][0-9.]*)$/.exec(soname) ?? [];
  if (name === undefined || version === undefined) return [];
  // A digit before the version is kept apart from it.
  const policy = `${name}${/[0-9]$/.test(name) ? '-' : ''}${version}`.toLowerCase().replaceAll('_', '-');
  return [`${policy}t64`, policy];
}
