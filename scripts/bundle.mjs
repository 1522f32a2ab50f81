// Puts mkimg's modules and those of its dependencies into one file, dist/cli/main.js. Finding and compiling some three
// hundred files takes Node 0.3 s at each start, which is most of a build that is up to date.
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'rolldown';
import { projectDirectory } from './setup.mjs';

const file = join(projectDirectory, 'dist/cli/main.js');
const { output } = await build({
  input: join(projectDirectory, 'src/cli/main.ts'),
  platform: 'node',
  tsconfig: false,
  transform: { target: 'node20.19' },
  // A native module, loaded where it is needed.
  external: [/^node:/, '@mongodb-js/zstd'],
  output: { file, format: 'esm', codeSplitting: false },
  logLevel: 'warn',
});
chmodSync(file, 0o755);

// Whose terms go with the file: names of npm packages, for scripts/package.mjs.
const packages = output
  .flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []))
  .flatMap((id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? []);
writeFileSync(
  join(projectDirectory, 'dist/cli/bundled-packages.json'),
  JSON.stringify([...new Set(packages)].sort(), undefined, 2) + '\n',
);

// What mkimg remembers of initrds holds for the program that made them.
writeFileSync(
  join(projectDirectory, 'dist/cli/main.sha256'),
  `${createHash('sha256').update(readFileSync(file)).digest('hex')}\n`,
);
