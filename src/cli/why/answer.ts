import type { StepId } from '../../base/brand.ts';
import type { Evaluation } from '../../engine/evaluate.ts';
import type { Step } from '../../plan/step.ts';
import { causesOf, inquiryOf } from '../../engine/why.ts';
import type { BuildSession } from '../session/session.ts';
import type { Reason } from './reasons.ts';
import { reasonsFor } from './reasons.ts';

/** Why a step would run, or has another result than last time. */
export interface Answer {
  readonly step: StepId;
  readonly state: string;
  /** When it was last made or found, milliseconds since the epoch. */
  readonly since?: number;
  readonly reasons: readonly Reason[];
}

/** Compares a step with the last build of this project. */
export async function answerWhy(
  step: Step,
  { plan, history, images, environment }: BuildSession,
  { statuses }: Evaluation,
): Promise<Answer> {
  const inquiry = inquiryOf(statuses, { plan, history });
  const { store, digests } = environment;
  const past = history.past(step.id);
  return {
    step: step.id,
    state: statuses.get(step.id)?.state ?? 'unknown',
    ...(past === undefined ? {} : { since: past.at }),
    reasons: await reasonsFor(causesOf(step, inquiry), { images, digests, store }),
  };
}
