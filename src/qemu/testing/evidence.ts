import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { MkimgError } from '../../base/errors.ts';
import { printable } from '../../sandbox/text.ts';
import type { FailureReason } from '../guest/verdict.ts';
import { runInGuest } from './actions.ts';
import type { TestSession } from './session.ts';

/** A guest that failed, and where its results go. */
export type FailedGuest = Pick<TestSession, 'guest' | 'isRunning' | 'result' | 'screenshot'>;

/** Seconds for a guest that is well to hand over its journal, at a time scale of 1. */
const journalSeconds = 20;
/** What still comes after a fatal line, such as the trace of a panic, is worth having. */
const lingerSeconds = 2;

const stillTalking: readonly FailureReason[] = [
  'kernel-panic',
  'emergency-mode',
  'firmware-refused',
  'not-bootable',
];

/** What is asked of a guest, and the file that its answer goes to. */
const questions: readonly (readonly [file: string, script: string])[] = [
  [
    'units.log',
    `systemctl list-units --failed --no-pager --full --plain
systemctl list-jobs --no-pager --full
systemctl status --failed --no-pager --full -n 50`,
  ],
  ['journal.log', 'journalctl -b -o short-monotonic --no-pager -n 5000'],
];

/**
 * Saves among the results what tells why a guest failed: its screen, its failed units and waiting jobs with their logs,
 * its journal. What cannot be had is left out: the guest may be gone, or answer no more.
 */
export async function saveEvidence(
  session: FailedGuest,
  reason: FailureReason,
  timeScale: number,
): Promise<void> {
  if (!session.isRunning) return;
  if (stillTalking.includes(reason)) await sleep(lingerSeconds * 1000);
  await session.screenshot('screenshot.png').catch(ignoreMachine);
  const { watch } = session.guest;
  const mayAnswer = ![
    'kernel-panic',
    'early-power-off',
    'guest-restarted',
    'qemu-failed',
    'kvm-broken',
    // Whoever has interrupted a test does not want to wait.
    'interrupted',
  ].includes(reason);
  if (!mayAnswer || watch.channel === undefined || watch.state.phase === 'booting') return;
  const over = new AbortController();
  const limit: Promise<undefined> = sleep(journalSeconds * timeScale * 1000, undefined, {
    signal: over.signal,
  }).catch(() => undefined);
  try {
    await ask(session, limit);
  } finally {
    over.abort();
  }
}

/** Asks all questions until the limit comes. */
async function ask(session: FailedGuest, limit: Promise<undefined>): Promise<void> {
  const { watch } = session.guest;
  for (const [file, text] of questions) {
    const answer = await Promise.race([
      runInGuest(session, { interpreter: ['/bin/sh'], text: `${text}\n` }),
      limit,
      watch.until(() => (watch.hasEnded ? true : undefined)),
    ]);
    if (typeof answer !== 'object') return;
    const lines = answer.stdout.split('\n').map(printable);
    await writeFile(session.result(file), `${lines.join('\n')}\n`);
  }
}

/** A machine without a screen, or one that is gone. */
function ignoreMachine(error: unknown): void {
  if (!(error instanceof MkimgError)) throw error;
}
