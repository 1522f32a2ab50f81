import { distributions } from '../../distro/distributions.ts';
import { boolean } from '../codecs/scalars.ts';
import { derived, setting } from '../setting.ts';
import { Distribution } from './distribution.ts';
import { ToolsTree, ToolsTreeDistribution } from './tools-tree.ts';

export const RepositoryKeyFetch = setting({
  codec: boolean,
  fallback: derived({ Distribution, ToolsTree, ToolsTreeDistribution }, (values, { host }) => {
    const { packageFormat } = distributions[values.Distribution];
    const foreign = packageFormat !== undefined && packageFormat !== 'deb';
    if (values.ToolsTree === 'default') return values.ToolsTreeDistribution === 'ubuntu' && foreign;
    return host.distribution === 'nixos' || (host.distribution === 'ubuntu' && foreign);
  }),
  scope: 'universal',
  inTools: true,
  effect: 'later',
  summary: 'Fetch the keys of repositories from the network',
  doc: `Keys that neither the host nor the tools tree has are downloaded over HTTPS. By default only where it is known
that the one which is used has no package with them.`,
});
