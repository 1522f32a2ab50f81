import { nativeArchitecture } from '../distro/architectures/index.ts';
import { parseEnvironmentFile } from './environment-file.ts';
import { hostPath } from '../base/brand.ts';
import type { ConfigFiles } from './files.ts';
import type { HostFacts } from './setting.ts';

/** Where distributions keep the certificates that a machine trusts. */
const bundles = ['/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/certs/ca-certificates.crt'];

/** What this machine is, from os-release(5) and the running program. */
export function hostFacts(files: ConfigFiles): HostFacts {
  const path = ['/etc/os-release', '/usr/lib/os-release'].find((file) => files.stat(file) !== undefined);
  const { variables } = parseEnvironmentFile(
    hostPath(path ?? '/'),
    path === undefined ? '' : files.read(path),
  );
  const certificates = bundles.find((file) => files.stat(file) !== undefined);
  return {
    architecture: nativeArchitecture(),
    distribution: variables['ID'],
    like: (variables['ID_LIKE'] ?? '').split(/\s+/).filter((id) => id !== ''),
    codename: variables['VERSION_CODENAME'],
    ...(variables['VERSION_ID'] === undefined ? {} : { version: variables['VERSION_ID'] }),
    ...(certificates === undefined ? {} : { certificates: hostPath(certificates) }),
  };
}
