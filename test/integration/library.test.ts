import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const documentation = readFileSync(join(root, 'docs/library.md'), 'utf8');

/** The first block of code, and what the text says that it prints. */
const [, example = '', output = ''] = /```js\n(.*?)```.*?This prints\n\n(.*?)\n\n/s.exec(documentation) ?? [];

describe('mkimg as a library', () => {
  it('does what its documentation shows', () => {
    // Code from the command line counts as if it stood in the current directory: `mkimg` is the package itself there.
    const argv = ['--input-type=module', '--eval', example];
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { cwd: root, encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toBe(`${output.replace(/^ {4}/gm, '')}\n`);
  });

  it('has types, each value out of the table of settings', () => {
    const head = `import { loadConfig, type ImageConfig, type SettingName } from 'mkimg';
      const loaded = await loadConfig({ directory: '.' });
      if (!loaded.ok) throw new Error(loaded.diagnostics[0]?.message);
      const config: ImageConfig = loaded.main.config;\n`;
    const faults = typeErrors({
      example,
      right: `${head} const packages: readonly string[] = config.Packages; void packages;
        const name: SettingName = 'Packages'; loaded.main.originOf(name);
        const id: string | undefined = config.ImageId; void id;`,
      optional: `${head} const id: string = config.ImageId; void id;`,
      word: `${head} void (config.Bootable === 'perhaps');`,
      unknown: `${head} void config.Nonsense;`,
    });
    expect(faults).toEqual([
      expect.stringMatching(/^optional: Type 'string \| undefined' is not assignable to type 'string'/),
      expect.stringMatching(/^unknown: Property 'Nonsense' does not exist/),
      expect.stringMatching(/^word: This comparison appears to be unintentional/),
    ]);
  });
});

/** Checks texts as files of the package would be checked, with the declarations of the built package. */
function typeErrors(texts: Readonly<Record<string, string>>): readonly string[] {
  const files = new Map(Object.entries(texts).map(([name, text]) => [join(root, `${name}.ts`), text]));
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  };
  const disk = ts.createCompilerHost(options);
  const program = ts.createProgram([...files.keys()], options, {
    ...disk,
    getCurrentDirectory: () => root,
    fileExists: (path) => files.has(path) || disk.fileExists(path),
    getSourceFile: (path, version) => {
      const text = files.get(path);
      return text === undefined
        ? disk.getSourceFile(path, version)
        : ts.createSourceFile(path, text, version);
    },
  });
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    const name = file === undefined ? '' : basename(file.fileName, '.ts');
    return `${name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}
