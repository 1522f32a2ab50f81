// `npm run docs`: writes the documentation that is made from the tables of settings and verbs. Contract tests keep it up to
// date.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDirectory, run } from './setup.mjs';

run('npm', ['run', '--silent', 'build']);
/** @type {typeof import('../src/config/reference.ts')} */
const { settingsReference } = await import(join(projectDirectory, 'dist/config/reference.js'));
writeFileSync(join(projectDirectory, 'docs/settings.md'), settingsReference());
