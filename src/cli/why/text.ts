import { join } from 'node:path';
import type { Json } from '../../base/canonical.ts';
import type { PackageChange } from './packages.ts';
import type { Reason } from './reasons.ts';

const mostShown = 10;

/** A reason as one line for people; the step is named unless it is `self`. */
export function reasonText(reason: Reason, self?: string): string {
  const prefix = reason.step === self ? '' : `${reason.step}: `;
  return prefix + whatHappened(reason);
}

function whatHappened(reason: Reason): string {
  switch (reason.kind) {
    case 'new':
      return `it is new in this project${at(reason)}`;
    case 'lost':
      return 'nothing changed, but its result is not in the cache';
    case 'unknown':
      return 'the repositories are to be asked, or it must run before more is known';
    case 'input':
      return inputText(reason);
  }
}

function at({ location }: Reason): string {
  return location === undefined ? '' : ` (${location})`;
}

function inputText(reason: Reason): string {
  const { files, packages, setting } = reason;
  if (files !== undefined) return filesText(files, reason);
  if (packages !== undefined) return `packages: ${listed(packages.map(packageText))}`;
  if (setting === undefined) return ownText(reason);
  const values = { before: reason.before, after: reason.after };
  return `${setting}=${at(reason)}: ${changeText(values)}`;
}

function filesText(files: NonNullable<Reason['files']>, reason: Reason): string {
  const { added, removed, changed, directory } = files;
  const head = reason.setting === undefined ? '' : `${reason.setting}=${at(reason)}: `;
  const named = [
    ...changed.map((name) => `${join(directory, name)} changed`),
    ...added.map((name) => `${join(directory, name)} is new`),
    ...removed.map((name) => `${join(directory, name)} is gone`),
  ];
  return head + (named.length === 0 ? `${directory} changed` : listed(named));
}

function packageText({ name, before, after }: PackageChange): string {
  if (before === undefined) return `${name} ${after ?? ''} is new`;
  if (after === undefined) return `${name} ${before} is gone`;
  return before === after ? `${name} ${before} was built anew` : `${name} ${before} -> ${after}`;
}

function listed(items: readonly string[]): string {
  const more = items.length - mostShown;
  return [...items.slice(0, mostShown), ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

/** Inputs that no setting stands behind. */
function ownText({ input = '', before, after }: Reason): string {
  const [first = '', second = ''] = input.split('.');
  switch (first) {
    case 'version':
      return `mkimg does this in another way than before (version ${shown(before)} -> ${shown(after)})`;
    case 'tools':
      return second.startsWith('$') || second === ''
        ? 'the tools tree is another one'
        : `${second} ${changeText({ before, after })}`;
    case 'ownership':
      return `owners of files: ${changeText({ before, after })}`;
    case 'state':
      return 'the repositories have news, or the result of last time was not to be kept';
    default:
      return input.endsWith('.$ref')
        ? `${input.replace(/^inputs\./, '').replace(/\.\$ref$/, '')}: it takes the result of another step than before`
        : `${input.replace(/^inputs\./, '')}: ${changeText({ before, after })}`;
  }
}

function changeText({ before, after }: { before: Json | undefined; after: Json | undefined }): string {
  if (before === undefined) return `${shown(after)} is new`;
  if (after === undefined) return `${shown(before)} is gone`;
  return `${shown(before)} -> ${shown(after)}`;
}

const mostCharacters = 200;

function shown(value: Json | undefined): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value ?? null);
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters)}...` : text;
}
