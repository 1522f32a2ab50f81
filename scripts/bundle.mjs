// Puts mkimg's modules and those of its dependencies into one file, dist/cli/mkimg.cjs, which dist/cli/main.js starts. Finding
// and compiling some three hundred files takes Node 0.3 s at each start, which is most of a build that is up to date.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'rolldown';
import { projectDirectory } from './setup.mjs';

const directory = join(projectDirectory, 'dist/cli');
const file = join(directory, 'mkimg.cjs');
const { output } = await build({
  input: join(projectDirectory, 'src/cli/main.ts'),
  platform: 'node',
  tsconfig: false,
  transform: {
    target: 'node20.19',
    // yargs looks for its own files beside it; there are none.
    define: { 'import.meta.url': '__bundleUrl', 'import.meta.resolve': 'undefined' },
  },
  // A native module, loaded where it is needed.
  external: [/^node:/, '@mongodb-js/zstd'],
  output: {
    ...{ file, format: 'cjs', codeSplitting: false },
    banner: "const __bundleUrl = require('node:url').pathToFileURL(__filename).href;",
  },
  logLevel: 'warn',
});
const launcher = join(directory, 'main.js');
copyFileSync(join(projectDirectory, 'scripts/launcher.mjs'), launcher);
chmodSync(launcher, 0o755);

// Whose terms go with the file: names of npm packages, for scripts/package.mjs.
const packages = output
  .flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []))
  .flatMap((id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? []);
writeFileSync(
  join(directory, 'bundled-packages.json'),
  JSON.stringify([...new Set(packages)].sort(), undefined, 2) + '\n',
);

// What mkimg remembers of initrds holds for the program that made them.
writeFileSync(
  join(directory, 'main.sha256'),
  `${createHash('sha256').update(readFileSync(file)).digest('hex')}\n`,
);

rmSync(join(directory, 'mkimg.cache'), { force: true });
const cache = spawnSync(process.execPath, [join(projectDirectory, 'scripts/code-cache.mjs')], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
if (cache.status !== 0) throw new Error('making the code cache failed');
