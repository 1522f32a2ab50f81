import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

const repository = resolve(import.meta.dirname, '../..');

const compilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};

/**
 * Writes modules of the repository as JavaScript below `target`, for programs of tests that run as another user: that user
 * cannot read the repository everywhere, and Node 20 runs no TypeScript. A name that ends in `.ts` is one module, any other
 * a directory with all below it. `node_modules` has to be put beside them.
 */
export function transpileInto(target: string, names: readonly string[]): void {
  for (const name of names.flatMap(modules)) {
    const file = join(target, name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(file), { recursive: true });
    const source = readFileSync(join(repository, name), 'utf8');
    writeFileSync(file, ts.transpileModule(source, { compilerOptions, fileName: name }).outputText);
  }
  writeFileSync(join(target, 'package.json'), '{"type":"module"}');
}

function modules(name: string): string[] {
  if (name.endsWith('.ts')) return [name];
  const found = readdirSync(join(repository, name), { recursive: true, encoding: 'utf8' });
  return found.filter((path) => path.endsWith('.ts')).map((path) => join(name, path));
}
