import type { Json } from './canonical.ts';

/**
 * Everything a run has to say. Reporters (terminal, plain lines, NDJSON) only read these; nothing else is printed while
 * a run goes on. Times are milliseconds.
 */
export type RunEvent =
  | { readonly type: 'run-started'; readonly verb: string; readonly version: string }
  | { readonly type: 'plan'; readonly steps: number; readonly images: readonly string[] }
  | {
      readonly type: 'step-hit';
      readonly step: string;
      readonly label: string;
      readonly key: string;
      /** Another machine made it. */
      readonly shared?: boolean;
    }
  /** A result is being taken from the shared cache; `step-progress` says how far it is. */
  | { readonly type: 'fetch-started'; readonly step: string; readonly label: string }
  /** Without `ok`, the step is run. */
  | { readonly type: 'fetch-ended'; readonly step: string; readonly label: string; readonly ok: boolean }
  | { readonly type: 'step-started'; readonly step: string; readonly label: string; readonly key: string }
  /** Why a step runs, or need not (`build --explain`). */
  | {
      readonly type: 'step-explained';
      readonly step: string;
      readonly label: string;
      readonly state: 'hit' | 'run';
      readonly reasons: readonly string[];
    }
  | {
      readonly type: 'step-progress';
      readonly step: string;
      readonly done: number;
      readonly total?: number;
      readonly unit: 'bytes' | 'items';
      readonly note?: string;
    }
  | {
      readonly type: 'step-finished';
      readonly step: string;
      readonly label: string;
      readonly milliseconds: number;
    }
  | {
      readonly type: 'step-failed';
      readonly step: string;
      readonly label: string;
      readonly milliseconds: number;
    }
  /** One line that a tool wrote. */
  | {
      readonly type: 'output';
      readonly step?: string;
      readonly tool: string;
      readonly stream: 'stdout' | 'stderr';
      readonly line: string;
    }
  | {
      readonly type: 'command';
      readonly step?: string;
      readonly tool: string;
      readonly argv: readonly string[];
    }
  /** A program came to its end; it began so many milliseconds (with fractions) before. */
  | {
      readonly type: 'tool-finished';
      readonly step?: string;
      readonly tool: string;
      readonly argv: readonly string[];
      readonly milliseconds: number;
      /** Absent when a signal ended it. */
      readonly exitCode?: number;
    }
  | {
      readonly type: 'note';
      readonly level: 'info' | 'warning';
      readonly code: string;
      readonly message: string;
      readonly hint?: string;
    }
  | {
      readonly type: 'artifact';
      readonly name: string;
      readonly path: string;
      readonly bytes: number;
      readonly state: 'built' | 'unchanged';
    }
  | { readonly type: 'boot'; readonly phase: string; readonly milliseconds: number; readonly detail?: Json }
  | {
      readonly type: 'error';
      readonly code: string;
      readonly message: string;
      readonly hint?: string;
      readonly tail?: readonly string[];
      readonly reenter?: string;
      /** The first place that is to blame: `file:line:column`, a flag, a path. */
      readonly location?: string;
      /** The lines of configuration that are to blame, marked, and further places. */
      readonly excerpt?: readonly string[];
    }
  /** Said by each process of mkimg at its end: the most memory that it had, without the programs it started. */
  | { readonly type: 'resources'; readonly peakMemoryBytes: number }
  | {
      readonly type: 'run-finished';
      readonly ok: boolean;
      readonly milliseconds: number;
      readonly exitCode: number;
    };

export interface EventSink {
  emit(event: RunEvent): void;
}

/** For callers without an audience. */
export const silentEvents: EventSink = { emit: () => undefined };

/** Passes on what happens, but each note only the first time: for work of which several parts say the same of the host. */
export function withNotesOnce(events: EventSink): EventSink {
  const said = new Set<string>();
  return {
    emit: (event) => {
      if (event.type === 'note' && said.has(event.message)) return;
      if (event.type === 'note') said.add(event.message);
      events.emit(event);
    },
  };
}
