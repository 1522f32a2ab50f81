import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import type { Command } from '../../../src/cli/arguments.ts';
import { parseArguments } from '../../../src/cli/arguments.ts';
import { formatDiagnostics } from '../../../src/cli/diagnostics.ts';
import { helpText } from '../../../src/cli/help.ts';
import type { Verb } from '../../../src/cli/verb.ts';
import { flagRows, oldFormFlagRows } from '../../../src/config/settings/table.ts';

const build: Verb = { name: 'build', summary: 'Build', options: [], run: () => Promise.resolve(0) };
const show: Verb = {
  name: 'summary',
  aliases: ['show'],
  summary: 'Show',
  options: [
    { name: 'origin', short: 'R', takesValue: false, summary: 'Origins' },
    { name: 'image', takesValue: true, summary: 'Image' },
  ],
  run: () => Promise.resolve(0),
};
const grammar = {
  verbs: [build, show],
  flags: [...flagRows, ...oldFormFlagRows],
  defaultVerb: 'build',
  workingDirectory: hostPath('/here'),
};

function command(...argv: readonly string[]): Command {
  const parsed = parseArguments(argv, grammar);
  if (!parsed.ok) throw new Error(formatDiagnostics(parsed.diagnostics));
  return parsed.value;
}

function settings(...argv: readonly string[]): readonly string[] {
  return command(...argv).assignments.map(({ setting, text }) => `${setting}=${text}`);
}

function faults(...argv: readonly string[]): string {
  const parsed = parseArguments(argv, grammar);
  return parsed.ok ? '' : formatDiagnostics(parsed.diagnostics);
}

describe('the command line', () => {
  it('builds when no verb is given', () => {
    expect(command().verb?.name).toBe('build');
    expect(command('show').verb?.name).toBe('summary');
  });

  it('takes flags before and after the verb, with and without =', () => {
    expect(settings('--format=tar', 'summary', '--package', 'vim', '-p', 'nano', '--package=acl')).toEqual([
      'Format=tar',
      'Packages=vim',
      'Packages=nano',
      'Packages=acl',
    ]);
    expect(command('--format', 'tar', 'summary', 'x', '--', '-y', 'z')).toMatchObject({
      words: ['x'],
      rest: ['-y', 'z'],
    });
  });

  it('takes values that stand right behind a short flag', () => {
    const given = ['-dfedora', '-pvim', '--image-id', '-tail', '-C/elsewhere', 'summary', '--', '-pnano'];
    expect(settings(...given)).toEqual(['Distribution=fedora', 'ImageId=-tail', 'Packages=vim']);
    expect(command(...given)).toMatchObject({ options: { directory: '/elsewhere' }, rest: ['-pnano'] });
    expect(command('-ff').options.force).toBe(2);
    expect(command('summary', '-R').options.extra).toEqual({ origin: 'true' });
  });

  it('hands text over as it is', () => {
    expect(
      settings(
        '--root-password=0123',
        '--image-version=1.10',
        '--with-docs=false',
        '--environment=a.b=c.d',
        '--kernel-command-line=--x',
        '--kernel-command-line',
        '-y',
        '--hostname=',
        '--image-id=1e3',
      ),
    ).toEqual(
      expect.arrayContaining([
        'RootPassword=0123',
        'ImageVersion=1.10',
        'WithDocs=false',
        'Environment=a.b=c.d',
        'KernelCommandLine=--x',
        'KernelCommandLine=-y',
        'Hostname=',
        'ImageId=1e3',
      ]),
    );
  });

  it('has short flags', () => {
    const short = settings(
      '-d',
      'debian',
      '-r',
      'sid',
      '-t',
      'cpio',
      '-o',
      'x',
      '-O',
      'out',
      '-m',
      'http://m',
      '-I',
      'f',
    );
    expect(short).toEqual([
      'Include=f',
      'Distribution=debian',
      'Mirror=http://m',
      'Release=sid',
      'Format=cpio',
      'Output=x',
      'OutputDirectory=out',
    ]);
    expect(settings('-ai', '-T', 'build').toSorted()).toEqual([
      'Autologin=yes',
      'Incremental=yes',
      'WithTests=no',
    ]);
    expect(command('-fff', '-C', 'sub', 'build').options).toMatchObject({ force: 3, directory: '/here/sub' });
  });

  it('lets --checksum stand alone without taking the next word for its value', () => {
    expect(settings('--checksum', 'summary')).toEqual(['Checksum=yes']);
    expect(command('--checksum', 'summary').verb?.name).toBe('summary');
    expect(settings('--checksum=no')).toEqual(['Checksum=no']);
    expect(command('build', '--', '--checksum').rest).toEqual(['--checksum']);
  });

  it('gives verbs their own options', () => {
    expect(command('summary', '--origin', '--image', 'x', '--json').options).toMatchObject({
      json: true,
      extra: { origin: 'true', image: 'x' },
    });
    expect(faults('build', '--origin')).toBe(
      "error: --origin means nothing to 'mkimg build'\n  hint: It belongs to 'mkimg summary'.\n",
    );
  });

  it('names all faults, with what was meant', () => {
    expect(faults('sumary', '--pakage=x', '--distrib=debian', '-z')).toBe(
      [
        "error: unknown verb 'sumary'",
        "  hint: Did you mean 'summary'?",
        'error: unknown flag --pakage',
        "  hint: Did you mean '--package'?",
        'error: unknown flag --distrib',
        '  hint: See mkimg --help.',
        'error: unknown flag -z',
        '  hint: See mkimg --help.',
        '',
      ].join('\n'),
    );
    expect(faults('--package')).toBe('error: --package needs a value\n  hint: Write --package VALUE.\n');
  });

  it('does not know flags that only look like camel case, negation or dots', () => {
    expect(faults('--imageId=x')).toContain('unknown flag --imageId');
    expect(faults('--no-with-docs')).toContain('unknown flag --no-with-docs');
    expect(faults('--package.x=y')).toContain('unknown flag --package.x');
  });

  it('takes flags by the names that they had in older versions of mkosi, in their place among the others', () => {
    const argv = ['--drive=a:1G', '--qemu-drive', 'b:2G', '--drive', '--qemu-mem', '--qemu-mem=4G'];
    expect(settings(...argv, '--output-dir', 'out', '--', '--qemu-smp=2')).toEqual([
      'OutputDirectory=out',
      'Drives=a:1G',
      'Drives=b:2G',
      'Drives=--qemu-mem',
      'RAM=4G',
    ]);
    const parsed = parseArguments(['--qemu-mem=4G', '--output-dir=out'], grammar);
    expect(parsed.ok && parsed.warnings.map(({ message }) => message)).toEqual([
      '--qemu-mem is called --ram now',
      '--output-dir is called --output-directory now',
    ]);
  });

  it('reads flags of settings that were written in another way', () => {
    expect(settings('--kernel-modules-include=^x', '--kernel-modules=y')).toEqual([
      'KernelModules=y',
      'KernelModulesInclude=^x',
    ]);
  });

  it('leaves flags of mkosi out that change nothing here, with a word unless that is clear', () => {
    const argv = ['--no-pager', '--debug-timing', '--cache', 'dir', '--default=x', 'summary'];
    const parsed = parseArguments(argv, grammar);
    expect(parsed.ok && [parsed.value.verb?.name, parsed.value.words]).toEqual(['summary', []]);
    expect(parsed.ok && parsed.warnings.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'idle-flag --debug-timing is a flag of mkosi that changes nothing here',
      'idle-flag --cache is a flag of mkosi that changes nothing here',
      'idle-flag --default is a flag of mkosi that changes nothing here',
    ]);
  });

  it('asks for help and version', () => {
    expect(command('--help')).toMatchObject({ help: true, verb: undefined });
    expect(command('--version').version).toBe(true);
    expect(command('summary', '-h').verb?.name).toBe('summary');
    const help = helpText(grammar.verbs, flagRows, undefined);
    for (const { long } of flagRows) expect(help).toContain(`--${long}`);
    expect(helpText(grammar.verbs, flagRows, show)).toContain('--image=VALUE');
  });
});
