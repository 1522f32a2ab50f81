import type { ImageName } from '../base/brand.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';

/** An image and what has to be built before it. */
export interface OrderedImage {
  readonly name: ImageName;
  readonly needs: readonly Need[];
}

/** A dependency with the place that names it. */
export interface Need {
  readonly name: ImageName;
  readonly origin: Origin;
}

export interface ImageOrder {
  /** Images that are needed, directly or not; each stands after those that it needs. */
  readonly names: readonly ImageName[];
  readonly faults: readonly Diagnostic[];
}

/**
 * The order in which images are built for `wanted`: level by level, those that need nothing first; within a level in the
 * order in which they are first named, `images` being given by name.
 * @param skipped names of images whose conditions do not hold, for hints
 */
export function orderImages(
  images: readonly OrderedImage[],
  wanted: readonly Need[],
  skipped: ReadonlySet<string>,
): ImageOrder {
  const byName = new Map(images.map((image) => [image.name, image]));
  const faults: Diagnostic[] = [];
  const reached = new Set<ImageName>();
  const queue = [...wanted];
  for (const need of queue) {
    if (reached.has(need.name)) continue;
    const image = byName.get(need.name);
    if (image === undefined) {
      faults.push(unknownImage(need, { known: [...byName.keys()], skipped }));
      continue;
    }
    reached.add(need.name);
    queue.push(...image.needs);
  }
  if (faults.length > 0) return { names: [], faults };
  const left = images.filter(({ name }) => reached.has(name));
  const names = levels(left);
  if (names.length < left.length) {
    const done = new Set(names);
    faults.push(cycle(left.filter(({ name }) => !done.has(name))));
  }
  return { names, faults };
}

function levels(images: readonly OrderedImage[]): ImageName[] {
  const mentioned = new Set(images.flatMap(({ name, needs }) => [name, ...needs.map((need) => need.name)]));
  const open = new Map([...mentioned].map((name) => [name, new Set<ImageName>()]));
  const followers = new Map([...mentioned].map((name) => [name, new Set<ImageName>()]));
  for (const { name, needs } of images) {
    for (const need of needs) {
      open.get(name)?.add(need.name);
      followers.get(need.name)?.add(name);
    }
  }
  const order: ImageName[] = [];
  let level = [...open].filter(([, needs]) => needs.size === 0).map(([name]) => name);
  while (level.length > 0) {
    order.push(...level);
    level = level.flatMap((done) =>
      [...(followers.get(done) ?? [])].filter((follower) => {
        const needs = open.get(follower);
        needs?.delete(done);
        return needs?.size === 0;
      }),
    );
  }
  return order;
}

function unknownImage(
  { name, origin }: Need,
  { known, skipped }: { readonly known: readonly ImageName[]; readonly skipped: ReadonlySet<string> },
): Diagnostic {
  const near = closest(name, known);
  const hint = skipped.has(name)
    ? `There is a file for it, but its conditions do not hold.`
    : near === undefined
      ? 'Images are the files and directories in mkimg.images/.'
      : `Did you mean '${near}'?`;
  return { severity: 'error', code: 'unknown-image', message: `there is no image '${name}'`, origin, hint };
}

/** Every image that is left needs another one that is left: following these needs ends in a circle. */
function cycle(left: readonly OrderedImage[]): Diagnostic {
  const byName = new Map(left.map((image) => [image.name, image]));
  const path: Need[] = [];
  let at: OrderedImage | undefined = left[0];
  while (at !== undefined && !path.slice(0, -1).some(({ name }) => name === path.at(-1)?.name)) {
    const need: Need | undefined = at.needs.find(({ name }) => byName.has(name));
    if (need === undefined) break;
    path.push(need);
    at = byName.get(need.name);
  }
  const last = path.at(-1);
  const circle = path.slice(path.findIndex(({ name }) => name === last?.name));
  const names = circle.map(({ name }) => name);
  const itself = names.length === 2;
  return {
    severity: 'error',
    code: 'dependency-cycle',
    message: itself
      ? `the image '${names[0] ?? ''}' depends on itself`
      : `images depend on each other: ${names.join(' -> ')}`,
    ...(last && { origin: last.origin }),
    hint: 'Remove one of the Dependencies=.',
  };
}
