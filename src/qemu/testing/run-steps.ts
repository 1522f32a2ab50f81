import { setTimeout as sleep } from 'node:timers/promises';
import { MkimgError } from '../../base/errors.ts';
import type { TestStep } from '../../config/tests/definition.ts';
import type { FailureReason } from '../guest/verdict.ts';
import { perform } from './actions.ts';
import type { StepOutcome } from './expectations.ts';
import type { TestSession } from './session.ts';

/** How one step went. Text may hold anything that a guest wrote. */
export interface StepResult {
  /** As a user would write it: `Boot=up`. */
  readonly step: string;
  readonly passed: boolean;
  readonly seconds: number;
  readonly message?: string;
  readonly details?: readonly string[];
}

/** Why a test failed. */
export interface TestFailure {
  readonly reason: FailureReason;
  readonly message: string;
  readonly details?: readonly string[];
}

export interface StepsRequest {
  readonly steps: readonly TestStep[];
  /** Seconds for all of them. */
  readonly timeoutSeconds: number;
  /** What the times of steps are multiplied by. */
  readonly timeScale: number;
  readonly signal: AbortSignal;
}

export interface StepsResult {
  /** Those that were begun. */
  readonly steps: readonly StepResult[];
  readonly failure: TestFailure | undefined;
}

/** Does the steps in order until one fails. The last guest still runs when this returns, unless a step ended it. */
export async function runSteps(session: TestSession, request: StepsRequest): Promise<StepsResult> {
  const deadline = performance.now() + request.timeoutSeconds * 1000;
  const results: StepResult[] = [];
  for (const step of request.steps) {
    const begun = performance.now();
    const failure = await runStep(session, step, { ...request, deadline });
    const seconds = Math.round((performance.now() - begun) / 100) / 10;
    results.push({
      step: step.label,
      passed: failure === undefined,
      seconds,
      ...(failure && { message: failure.message }),
      ...(failure?.details && { details: failure.details }),
    });
    if (failure !== undefined) return { steps: results, failure };
  }
  return { steps: results, failure: undefined };
}

interface StepLimits extends Pick<StepsRequest, 'timeScale' | 'signal' | 'timeoutSeconds'> {
  /** On performance.now()'s clock. */
  readonly deadline: number;
}

/** A step, against the clock, the guest's end and the user; undefined when it was done. */
async function runStep(
  session: TestSession,
  step: TestStep,
  limits: StepLimits,
): Promise<TestFailure | undefined> {
  const over = new AbortController();
  session.noteProgress(() => []);
  const ends = [
    performed(session, step, over.signal),
    outOfTime(session, step, { ...limits, over: over.signal }),
    interrupted(limits.signal, over.signal),
    guestFailed(session, over.signal),
  ];
  try {
    return await Promise.race(ends);
  } finally {
    over.abort();
  }
}

async function performed(
  session: TestSession,
  step: TestStep,
  signal: AbortSignal,
): Promise<TestFailure | undefined> {
  let outcome: StepOutcome;
  try {
    outcome = await perform(step.action, session, signal);
  } catch (error) {
    // What the machine refused fails the step; that there is no machine at all is an error of its own.
    if (!(error instanceof MkimgError) || !session.isRunning) throw error;
    outcome = { ok: false, message: error.message };
  }
  // A guest that ended may have made the step fail, or may have failed after it.
  const failure = session.failure();
  if (failure !== undefined) return failure;
  if (outcome.ok) return undefined;
  return {
    reason: 'step-failed',
    message: outcome.message,
    ...(outcome.details && { details: outcome.details }),
  };
}

interface OutOfTime extends StepLimits {
  readonly over: AbortSignal;
}

async function outOfTime(
  session: TestSession,
  { timeout, label, action }: TestStep,
  { timeScale, timeoutSeconds, deadline, over }: OutOfTime,
): Promise<TestFailure> {
  const left = Math.max(0, deadline - performance.now());
  const own = timeout === undefined ? Infinity : timeout * timeScale * 1000;
  await pause(Math.min(left, own), over);
  const seconds = Math.round(own < left ? own / 1000 : timeoutSeconds);
  const isBoot = action.kind === 'boot' || (action.kind === 'power' && action.change === 'reboot');
  if (isBoot && session.isRunning) {
    // Its judge knows how far the boot came.
    session.guest.watch.take({ type: 'timeout', seconds });
    const failure = session.failure();
    if (failure !== undefined) return failure;
  }
  const details = session.progress();
  const whose = own < left ? '' : ' that the test has';
  return {
    reason: 'timeout',
    message: `${label} was not done within the ${seconds} seconds${whose}`,
    ...(details.length > 0 && { details }),
  };
}

async function interrupted(signal: AbortSignal, over: AbortSignal): Promise<TestFailure> {
  await aborted(signal, over);
  return { reason: 'interrupted', message: 'interrupted' };
}

async function guestFailed(session: TestSession, over: AbortSignal): Promise<TestFailure> {
  // A step that boots begins without a guest.
  while (!session.isRunning && !over.aborted) await pause(50, over).catch(() => undefined);
  if (over.aborted) return never();
  const { watch } = session.guest;
  // A machine that a step ended has not failed.
  return watch.until(() => (session.isRunning ? session.failure() : undefined));
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

async function pause(milliseconds: number, over: AbortSignal): Promise<void> {
  if (over.aborted) return never();
  await sleep(milliseconds, undefined, { signal: over }).catch(never);
}

async function aborted(signal: AbortSignal, over: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true, signal: over });
  });
}
