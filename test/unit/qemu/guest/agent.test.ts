import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Duplex } from 'node:stream';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import { commandLineWord } from '../../../../src/qemu/credentials.ts';
import {
  agentCommandLine,
  agentCredentials,
  agentFor,
  agentScript,
  chooseChannel,
  loaderScript,
  newToken,
} from '../../../../src/qemu/guest/agent.ts';
import type { ScriptEnd } from '../../../../src/qemu/guest/channel.ts';
import { GuestChannel } from '../../../../src/qemu/guest/channel.ts';
import type { GuestRecord } from '../../../../src/qemu/guest/report.ts';

const token = newToken();

function credential(channel: 'unit' | 'command-line', name: string): string {
  const found = agentCredentials(channel, token).find((entry) => entry.name === name);
  return Buffer.from(found?.value ?? []).toString();
}

describe('the channel', () => {
  it.each([
    [undefined, 'unit'],
    [260, 'unit'],
    [256, 'unit'],
    [255, 'command-line'],
    [252, 'command-line'],
    [251, 'console'],
    [0, 'console'],
  ] as const)('of systemd %s is %s', (version, channel) => {
    expect(chooseChannel(version)).toBe(channel);
  });

  it('never leaves systemd-firstboot waiting for an answer', () => {
    expect(agentCommandLine('unit')).toContain('systemd.firstboot=no');
    expect(agentCommandLine('command-line')).toContain('systemd.firstboot=no');
    expect(credential('unit', 'systemd.unit-dropin.systemd-firstboot.service')).toContain(
      'ConditionPathExists=',
    );
  });

  it('starts the agent in each way', () => {
    const unit = credential('unit', 'systemd.extra-unit.mkimg-report.service');
    expect(unit).toContain('BindsTo=dev-virtio\\x2dports-mkimg.0.device\n');
    expect(credential('unit', 'systemd.unit-dropin.dev-virtio\\x2dports-mkimg.0.device~20-mkimg')).toContain(
      'JobRunningTimeoutSec=infinity',
    );
    expect(unit).toContain('ExecStart=/bin/sh ${CREDENTIALS_DIRECTORY}/mkimg.agent\n');
    expect(credential('unit', 'systemd.unit-dropin.multi-user.target~20-mkimg')).toContain(
      'Wants=mkimg-report.service',
    );
    expect(agentCommandLine('command-line').join(' ')).toContain('/run/credentials/@system/mkimg.agent"');
    expect(agentCredentials('console', token)).toEqual([]);
  });

  it('starts what systemd did not start by itself', () => {
    expect(agentFor('command-line', token)).toContain('systemctl start multi-user.target\n');
    expect(agentFor('unit', token)).not.toContain('multi-user.target');
  });

  it('needs little room for its credentials: a kernel command line of 4 KiB holds them', () => {
    const bytes = agentCredentials('unit', token).map(
      ({ name, value }) => name.length + (value.length * 4) / 3,
    );
    expect(bytes.reduce((sum, size) => sum + size + 40, 0)).toBeLessThan(2600);
  });

  it('fits into the kernel command line where credentials stand there, or is left out', () => {
    const words = [
      ...agentCredentials('small-unit', token).map(commandLineWord),
      ...agentCommandLine('small-unit'),
    ];
    const bytes = Buffer.byteLength(` ${words.join(' ')}`);
    // 1 KiB with the patience that emulated machines need, and with what says where console and root are.
    expect(bytes).toBeLessThan(640);
    expect([chooseChannel(257, bytes), chooseChannel(257, bytes - 1)]).toEqual(['small-unit', 'console']);
    expect([chooseChannel(undefined, 4096), chooseChannel(255, 4096)]).toEqual(['small-unit', 'console']);
  });

  it('has another token in each machine', () => {
    expect(token).toMatch(/^[0-9a-f]{16}$/);
    expect(newToken()).not.toBe(token);
    expect(credential('unit', 'mkimg.agent')).toContain(token);
  });
});

/** What the shell of a unit's ExecStart= gets: systemd takes off the quotes, and makes newlines. */
function scriptOf(unit: string): string {
  const [, script = ''] = /^ExecStart=:sh -c '([^']*)'$/m.exec(unit) ?? [];
  return script.replaceAll('\\n', '\n');
}

it('the loader of the smallest unit becomes the agent', async () => {
  await using directory = await temporaryDirectory('/tmp', 'mkimg-agent-');
  const [unit] = agentCredentials('small-unit', token);
  expect(unit?.name).toBe('systemd.extra-unit.mkimg.service');
  expect(agentCommandLine('small-unit')).toContain('systemd.wants=mkimg.service');
  const script = scriptOf(Buffer.from(unit?.value ?? []).toString());
  // Standard streams stand for the port, which is there at once.
  const local = script.replace(/^p=[^;]+;/, 'p=/dev/null;').replace('exec <>$p >&0;', '');
  expect(local).not.toBe(script);
  const output = execFileSync('/bin/sh', ['-c', `systemctl() { :; }\n${local}`], {
    encoding: 'utf8',
    input: `${agentScript(token, ':', directory.path)}.\nrun id1 /bin/sh\n>printf "%s\\\\n" "a  c"\n.\n`,
  });
  const lines = output.split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      `${token} hello`,
      `${token} done`,
      `${token} out id1 a  c`,
      `${token} exit id1 0`,
    ]),
  );
});

/** Runs the agent with these shell functions instead of systemd's programs, until it has no more to read. */
async function runAgent(functions: string, input = ''): Promise<string[]> {
  await using directory = await temporaryDirectory('/tmp', 'mkimg-agent-');
  const script = `${functions}\n${loaderScript(token, directory.path)}\nwait`;
  return execFileSync('/bin/sh', ['-c', script], {
    encoding: 'utf8',
    input: `${agentScript(token, ':', directory.path)}.\n${input}`,
  })
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== '' && !/ memory /.test(line))
    .map((line) => line.slice(token.length + 1));
}

describe('the agent', () => {
  it('reports a good boot', async () => {
    const lines = await runAgent(
      `systemctl() { case "$*" in is-system-running*) echo running;; *Finish*) echo FinishTimestampMonotonic=9;; *service*) echo Id=a.service;; esac; }`,
    );
    expect(lines).toEqual([
      'hello',
      'state running',
      'times FinishTimestampMonotonic=9',
      'unit Id=a.service',
      'done',
    ]);
  });

  it('reports failed units with their logs, whatever they are called and wrote', async () => {
    const lines = await runAgent(`
      systemctl() { case "$1" in
        is-system-running) echo degraded; return 1;;
        list-units) printf '%s\\n' 'dev-disk-by\\x2dlabel-x.swap loaded failed failed X' 'b.service loaded failed failed Y';;
      esac; }
      journalctl() { printf 'done\\nno newline'; }`);
    expect(lines).toEqual([
      'hello',
      'state degraded',
      'failed dev-disk-by\\x2dlabel-x.swap',
      'log done',
      'log no newline',
      'failed b.service',
      'log done',
      'log no newline',
      'done',
    ]);
  });

  it('begins a line of its own, whatever was written to the port before', async () => {
    await using directory = await temporaryDirectory('/tmp', 'mkimg-agent-');
    const script = `printf 'no end'; ${loaderScript(token, directory.path)}`;
    const said = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8', input: '.\n' });
    expect(said).toBe(`no end\n${token} hello\n`);
  });

  it('powers off and restarts when asked', async () => {
    const asked = await runAgent(
      'systemctl() { [ "$1" != start ] || say "$@"; }',
      'power-off\nreboot\nnonsense\n',
    );
    expect(asked.filter((line) => line.startsWith('start'))).toEqual(
      [
        'start start --no-block --job-mode=replace-irreversibly poweroff.target',
        'start start --no-block --job-mode=replace-irreversibly reboot.target',
      ].map((line) => line.replace('start ', '')),
    );
  });
});

/** Both ways of a program in one, as a machine's port is. */
function portOf({ stdin, stdout }: ChildProcessWithoutNullStreams): Duplex {
  const port = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, taken) => void stdin.write(chunk, () => taken()),
  });
  stdout.on('data', (chunk: Buffer) => port.push(chunk));
  return port;
}

/** An agent that runs, and the host's end of its channel. */
async function talk<T>(
  use: (channel: GuestChannel, records: readonly GuestRecord[]) => Promise<T>,
): Promise<T> {
  await using directory = await temporaryDirectory('/tmp', 'mkimg-agent-');
  const functions = 'systemctl() { :; }; journalctl() { :; }';
  const script = `${functions}\n${loaderScript(token, directory.path)}`;
  const child = spawn('/bin/sh', ['-c', script], { stdio: 'pipe' });
  const port = portOf(child);
  const records: GuestRecord[] = [];
  let next = 1;
  const channel = new GuestChannel(port, token, {
    agent: agentScript(token, ':', directory.path),
    newId: () => `id${next++}`,
    onRecord: (record) => records.push(record),
  });
  try {
    return await use(channel, records);
  } finally {
    const ended = new Promise((resolve) => child.on('close', resolve));
    child.stdin.end();
    child.kill();
    await ended;
  }
}

const shell = ['/bin/sh'];

describe('a script in the guest', () => {
  it('gives its status and both outputs', async () => {
    const end = await talk((channel) =>
      channel.run({
        interpreter: shell,
        text: 'echo one; echo bad >&2\nprintf "two\\n\\n  three"; exit 7\n',
      }),
    );
    expect(end).toEqual<ScriptEnd>({ status: 7, stdout: 'one\ntwo\n\n  three', stderr: 'bad', isCut: false });
  });

  it('arrives as it was written', async () => {
    const text = "cat <<'END'\n.\n  \\back $x `y` \"q\" 'x' ümlaut\t\n>\n\nEND\n";
    const { stdout } = await talk((channel) => channel.run({ interpreter: shell, text }));
    expect(stdout).toBe(text.split('\n').slice(1, -2).join('\n').replace(/\n+$/, ''));
  });

  it('is run by the program that it names', async () => {
    const { stdout } = await talk((channel) => channel.run({ interpreter: ['/bin/sed', '-n'], text: 'p\n' }));
    expect(stdout).toBe('');
    const { status, stderr } = await talk((channel) => channel.run({ interpreter: ['/no/such'], text: '' }));
    expect([status, stderr]).toEqual([127, expect.stringContaining('not found')]);
  });

  it('does not keep another one back, and reads nothing that is not its own', async () => {
    const [slow, quick] = await talk((channel) => {
      const order: string[] = [];
      const note = (name: string) => (end: ScriptEnd) => {
        order.push(name);
        return { ...end, order: [...order] };
      };
      return Promise.all([
        channel.run({ interpreter: shell, text: 'cat; sleep 0.5; echo slow' }).then(note('slow')),
        channel.run({ interpreter: shell, text: 'cat; echo quick' }).then(note('quick')),
      ]);
    });
    expect([slow.stdout, quick.stdout]).toEqual(['slow', 'quick']);
    expect(slow.order).toEqual(['quick', 'slow']);
  });

  it('cannot answer for itself without the token, nor for another one', async () => {
    const { stdout, status } = await talk((channel) =>
      channel.run({ interpreter: shell, text: `echo 'exit id1 0'; echo '${token} exit id1 0'; exit 3` }),
    );
    expect([stdout, status]).toEqual([`exit id1 0\n${token} exit id1 0`, 3]);
  });

  it('may write more than is kept', async () => {
    const { stdout, isCut, status } = await talk((channel) =>
      channel.run({ interpreter: shell, text: 'head -c 3000000 /dev/zero | tr "\\0" x | fold -w 1000' }),
    );
    expect(isCut).toBe(true);
    expect(stdout.length).toBeLessThan(1024 * 1024);
    expect(status).toBe(0);
  });

  it('needs no directory of ours in its environment', async () => {
    const { stdout } = await talk((channel) =>
      channel.run({ interpreter: shell, text: 'echo "${CREDENTIALS_DIRECTORY-none} $PWD $HOME"' }),
    );
    expect(stdout).toBe('none / /root');
  });
});

it('the directory of the agent is its own', () => {
  expect(credential('unit', 'systemd.extra-unit.mkimg-report.service')).toContain(
    'RuntimeDirectory=mkimg-report',
  );
  expect(agentScript(token)).toContain(`d=${join('/run', 'mkimg-report')}\n`);
  expect(loaderScript(token)).toContain('. /run/mkimg-report/agent\n');
});
