// `npm run bench -- NAME [--runs N] [--only PART]`: mkimg beside its peers, in turns, as ratios of one run on one machine.
//
//   npm run bench -- build      an image from scratch, and again without a change
//   npm run bench -- engine     what builds, small changes and shared packages cost (parts: disk, initrd, images, tree)
//   npm run bench -- growth     a tree of a hundred, some hundred, a thousand packages
//   npm run bench -- initrd     initrds of one system, beside mkinitramfs, dracut and mkosi-initrd (parts: trees, times, boots)
//   npm run bench -- arch       builds and boots for each architecture, of those for x86-64 (--only arm64; --forky s390x,ppc64-le)
//   npm run bench -- config     reading a configuration of 200 drop-ins and 20 subimages
//
// Package downloads and tools trees are warm. mkosi 27 comes from Debian's forky.
import { benchArchitectures } from './bench/architectures.mjs';
import { benchBuild } from './bench/build.mjs';
import { benchConfig } from './bench/config.mjs';
import { benchEngine } from './bench/engine.mjs';
import { benchGrowth } from './bench/growth.mjs';
import { benchInitrd } from './bench/initrd.mjs';
import { setUp } from './setup.mjs';

/** Each benchmark: how often it runs unless `--runs` says otherwise, and what it does. */
const benchmarks = {
  build: { runs: 3, bench: benchBuild },
  engine: { runs: 3, bench: benchEngine },
  growth: { runs: 3, bench: benchGrowth },
  initrd: { runs: 3, bench: benchInitrd },
  config: { runs: 10, bench: benchConfig },
  arch: { runs: 1, bench: benchArchitectures },
};

const [what = 'build', ...options] = process.argv.slice(2);
const benchmark = Object.entries(benchmarks).find(([name]) => name === what)?.[1];
if (benchmark === undefined) {
  console.error(`unknown benchmark '${what}'; there are: ${Object.keys(benchmarks).join(', ')}`);
  process.exit(2);
}
setUp({ hyperfine: 'hyperfine', 'dpkg-deb': 'dpkg', mke2fs: 'e2fsprogs', mmdebstrap: 'mmdebstrap' });
/** @param {string} name */
const option = (name) => (options.includes(name) ? options[options.indexOf(name) + 1] : undefined);
benchmark.bench(Number(option('--runs')) || benchmark.runs, option('--only'), option('--forky'));
