import type { EventSink } from '../../base/events.ts';
import type { Outlook } from '../../engine/build.ts';
import type { Decision } from '../../engine/environment.ts';
import type { StepIdentity } from '../../engine/key.ts';
import { causesOf } from '../../engine/why.ts';
import type { StepId } from '../../base/brand.ts';
import type { BuildSession } from '../session/session.ts';
import { reasonsFor } from './reasons.ts';
import { reasonText } from './text.ts';

/** Tells with each step why it runs or need not, compared with the last build of this project. */
export function stepExplainer(
  { plan, history, images, environment }: BuildSession,
  { evaluation: { statuses } }: Outlook,
  events: EventSink,
): (decision: Decision) => Promise<void> {
  const decided = new Map<StepId, StepIdentity>();
  const { store, digests } = environment;
  const identityOf = (id: StepId): StepIdentity | undefined => {
    const status = statuses.get(id);
    const foreseen = status === undefined || status.state === 'unknown' ? undefined : status.identity;
    return decided.get(id) ?? history.noted(id) ?? foreseen;
  };
  return async ({ step, state, identity }) => {
    if (identity !== undefined) decided.set(step.id, identity);
    const isStored = (id: StepId): boolean => state === 'hit' && id === step.id;
    const causes = causesOf(step, { plan, history, identityOf, isStored });
    const reasons = await reasonsFor(causes, { images, digests, store });
    const texts = reasons.map((reason) => reasonText(reason, step.id));
    const { id, label } = step;
    const said = texts.length === 0 ? ['nothing changed'] : texts;
    events.emit({ type: 'step-explained', step: id, label, state, reasons: said });
  };
}

/** Says how the outputs stand that are not as they should be, or, where all are, that nothing changed. */
export function explainOutputs({ images, upToDate }: Outlook, events: EventSink): void {
  const say = (message: string): void =>
    events.emit({ type: 'note', level: 'info', code: 'output-explained', message });
  for (const { output, state, record } of images.flatMap(({ outputs }) => outputs)) {
    if (record === undefined && state !== 'foreign') say(`${output.name}: ${stateTexts.missing}`);
    else if (state !== 'current') say(`${output.name}: ${stateTexts[state]}`);
    else if (upToDate) say(`${output.name}: nothing changed, and it is there as it was made`);
  }
}

const stateTexts = {
  missing: 'it is not there, as far as mkimg knows',
  outdated: 'it was made of something else, or that is not known yet',
  modified: 'it was changed after it had been built',
  foreign: 'mkimg did not make what is in its place',
} as const;
