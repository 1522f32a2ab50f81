import type { EventSink } from '../../base/events.ts';

/** Environment variable by which a process tells the one that it starts in its namespace what it has told already. */
const variable = 'MKIMG_SAID_NOTES';

const own: string[] = [];

/**
 * Keeps what the process outside of the namespace has told from being told again by the one inside, which reads the same
 * configuration; and remembers what this process tells.
 */
export function withoutSaidNotes(sink: EventSink): EventSink {
  const said = new Set(process.env[variable]?.split('\n'));
  return {
    emit: (event) => {
      if (event.type === 'note') {
        const note = JSON.stringify([event.code, event.message]);
        if (said.has(note)) return;
        own.push(note);
      }
      sink.emit(event);
    },
  };
}

/** For the process inside; see {@link withoutSaidNotes}. */
export function saidNotes(): Readonly<Record<string, string>> {
  return { [variable]: own.join('\n') };
}
