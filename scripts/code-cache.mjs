// Keeps what V8 makes of mkimg's code in dist/cli/mkimg.cache: all that it compiles to read a project's configuration.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDirectory } from './setup.mjs';

const directory = join(projectDirectory, 'dist/cli');
process.argv.splice(2, process.argv.length, '-C', join(projectDirectory, 'images/minimal'), 'summary');
const { script } = await import(join(directory, 'main.js'));
process.on('exit', () => {
  writeFileSync(join(directory, 'mkimg.cache'), script.createCachedData());
});
