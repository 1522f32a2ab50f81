import type { Diagnostic } from '../base/diagnostic.ts';
import { ConfigurationError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { Project } from '../config/project.ts';
import { loadProject } from '../config/project.ts';
import { describeOrigin } from './diagnostics.ts';
import type { VerbContext } from './verb.ts';

/**
 * Reads the project that a verb works on; warnings become events.
 * @throws ConfigurationError with all faults, when there are any.
 */
export async function readProject(context: VerbContext): Promise<Project> {
  const loaded = await loadProject({
    directory: context.options.directory,
    assignments: context.assignments,
    environment: process.env,
  });
  if (!loaded.ok) throw new ConfigurationError(loaded.diagnostics);
  for (const warning of loaded.warnings) emitWarning(context.events, warning);
  return loaded.value;
}

/** Tells about a remark on the configuration. */
export function emitWarning(events: EventSink, { code, message, origin, hint }: Diagnostic): void {
  const place = origin === undefined ? undefined : describeOrigin(origin);
  events.emit({
    type: 'note',
    level: 'warning',
    code,
    message: place === undefined ? message : `${place}: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  });
}
