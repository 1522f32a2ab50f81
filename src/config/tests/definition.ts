import type { HostPath } from '../../base/brand.ts';
import type { Origin } from '../../base/diagnostic.ts';
import type { FailedCondition } from '../history.ts';
import type { SettingName } from '../settings/table.ts';
import type { Resolved } from '../values.ts';
import type { JsonExpectation, KeyChord } from './codecs.ts';

/** What a text must be; all that is given must hold. */
export interface TextExpectation {
  readonly equals?: string;
  /** Regular expression with the flags `mu`. */
  readonly matches?: string;
  readonly json: readonly JsonExpectation[];
}

export type BootGoal = 'up' | 'degraded' | 'started';

export type TestAction =
  | { readonly kind: 'boot'; readonly goal: BootGoal; readonly image?: string; readonly drive?: string }
  | { readonly kind: 'wait-for-unit'; readonly units: readonly string[] }
  | {
      readonly kind: 'run';
      readonly script: { readonly text: string } | { readonly file: HostPath };
      readonly exitStatus: number;
      readonly stdout: TextExpectation;
    }
  | { readonly kind: 'file'; readonly path: string; readonly content: TextExpectation }
  | {
      readonly kind: 'port';
      readonly port: number;
      readonly send?: string;
      readonly received: TextExpectation;
    }
  | { readonly kind: 'console'; readonly expression: string }
  | { readonly kind: 'type'; readonly text: string }
  | { readonly kind: 'keys'; readonly chords: readonly KeyChord[] }
  | { readonly kind: 'screenshot'; readonly name: string }
  | { readonly kind: 'power'; readonly change: 'reboot' | 'off' | 'cut' }
  | { readonly kind: 'unplug'; readonly drive: string };

export interface TestStep {
  readonly action: TestAction;
  /** As a user would write it: `Boot=up`. */
  readonly label: string;
  /** Seconds on a machine with KVM; undefined for what is left of the test's time. */
  readonly timeout: number | undefined;
  readonly origin: Origin;
}

/** A boot test out of mkimg.tests/. */
export interface BootTestDefinition {
  readonly name: string;
  readonly path: HostPath;
  readonly description: string | undefined;
  /** Seconds on a machine with KVM. */
  readonly timeout: number;
  /** Settings of [Runtime] that the test changes. */
  readonly runtime: ReadonlyMap<SettingName, Resolved>;
  readonly steps: readonly TestStep[];
  /** Why it is not for this image; empty when it is. */
  readonly failed: readonly FailedCondition[];
}
