// `npm run docs`: writes the documentation that is made from the tables of settings and verbs. Contract tests keep it up to
// date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDirectory, run } from './setup.mjs';

run('npm', ['run', '--silent', 'build']);
const from = (/** @type {string} */ module) => import(join(projectDirectory, 'dist', module));
/** @type {typeof import('../src/config/reference.ts')} */
const { settingsReference } = await from('config/reference.js');
/** @type {typeof import('../src/config/tests/reference.ts')} */
const { referenceMark, testSettingsReference } = await from('config/tests/reference.js');
/** @type {typeof import('../src/cli/documentation.ts')} */
const { manualIn } = await from('cli/documentation.js');
/** @type {typeof import('../src/cli/verbs.ts')} */
const { verbs } = await from('cli/verbs.js');
writeFileSync(join(projectDirectory, 'docs/settings.md'), settingsReference());
writeFileSync(join(projectDirectory, 'docs/man/mkimg.1'), await manualIn('man', verbs));
const testing = join(projectDirectory, 'docs/testing.md');
const [written] = readFileSync(testing, 'utf8').split(referenceMark);
writeFileSync(testing, `${written}${referenceMark}${testSettingsReference()}`);
