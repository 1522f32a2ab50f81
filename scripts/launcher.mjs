#!/usr/bin/env node
// dist/cli/main.js: starts mkimg.cjs with the code that V8 made of it when it was built (scripts/code-cache.mjs). Compiling two
// megabytes takes 50 ms at each start, a quarter of a build that is up to date. Another version of V8 does not take that code,
// and compiles.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, Script } from 'node:vm';

const directory = dirname(fileURLToPath(import.meta.url));
const filename = join(directory, 'mkimg.cjs');

export const script = new Script(
  `(function (require, module, exports, __filename) {${readFileSync(filename, 'utf8')}\n})`,
  {
    filename,
    cachedData: codeCache(),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  },
);
const module = { exports: {} };
script.runInThisContext()(createRequire(filename), module, module.exports, filename);

function codeCache() {
  try {
    return readFileSync(join(directory, 'mkimg.cache'));
  } catch {
    // It was not built with one.
    return undefined;
  }
}
