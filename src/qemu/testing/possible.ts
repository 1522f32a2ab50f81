import type { Diagnostic } from '../../base/diagnostic.ts';
import type { TestStep } from '../../config/tests/definition.ts';
import type { GuestChannelKind } from '../guest/agent.ts';

/** What decides which steps a guest and its machine can do. */
export interface TestAbilities {
  readonly channel: GuestChannelKind;
  readonly hasNetwork: boolean;
}

/**
 * Steps that cannot be done, before anything is started. Without an agent there is only the console: no commands, no units.
 * Pure.
 */
export function impossibleSteps(
  steps: readonly TestStep[],
  { channel, hasNetwork }: TestAbilities,
): readonly Diagnostic[] {
  return steps.flatMap(({ action, label, origin }) => {
    if (channel === 'console' && needsAgent(action)) {
      return [
        impossible(
          `${label} needs a guest with systemd 252 or later`,
          origin,
          'Machines without SMBIOS need systemd 256. Other guests can be asked by Type= and Console= alone.',
        ),
      ];
    }
    if (action.kind === 'port' && !hasNetwork) {
      return [impossible(`${label} needs a network`, origin, 'Add RuntimeNetwork=user to [Runtime].')];
    }
    return [];
  });
}

function needsAgent(action: TestStep['action']): boolean {
  return (
    ['wait-for-unit', 'run', 'file'].includes(action.kind) ||
    (action.kind === 'power' && action.change !== 'cut')
  );
}

function impossible(message: string, origin: TestStep['origin'], hint: string): Diagnostic {
  return { severity: 'error', code: 'step-impossible', message, origin, hint };
}
