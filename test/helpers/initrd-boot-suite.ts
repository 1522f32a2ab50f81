import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { BootFacts } from './boot-facts.ts';
import type { ConsoleGuest } from './console-guest.ts';
import { buildGuests } from './guest-images.ts';
import type { BootSite, RootBoot } from './root-boots.ts';
import { bootRoot, bootWithHelp } from './root-boots.ts';
import { vmTools } from './tools.ts';

/** What boots of initrds need; there while the tests of a file run. */
export interface BootSuite {
  /** For files of the tests. */
  readonly directory: () => HostPath;
  readonly site: () => BootSite;
}

/** Builds the guests before the tests of a file. */
export function bootSuite(): BootSuite {
  let made: { directory: TemporaryDirectory; site: BootSite } | undefined;
  beforeAll(async () => {
    const directory = await temporaryDirectory('/var/tmp', 'mkimg-initrd-boots-');
    const host = { tools: await vmTools(), events: silentEvents, scratch: directory.path };
    made = { directory, site: { images: await buildGuests(directory.path), host } };
  });
  afterAll(() => made?.directory[Symbol.asyncDispose]());
  const get = (): NonNullable<typeof made> => {
    if (made === undefined) throw new Error('the guests were not built');
    return made;
  };
  return { directory: () => get().directory.path, site: () => get().site };
}

/** A root that must come up, and how it must look then. */
export interface BootCase extends RootBoot {
  readonly name: string;
  readonly fstype: string;
  /** Types of the block devices below the root, from the top to the disks. */
  readonly stack: readonly string[];
  /** The same for /usr, where it is a file system of its own. */
  readonly usr?: readonly string[];
  /** What the case's own question must have brought. */
  readonly more?: RegExp;
  /** Done while the guest boots, such as typing a passphrase. */
  readonly help?: (guest: ConsoleGuest) => Promise<void>;
}

/** One test for each case, two at a time. */
export function testBoots(title: string, cases: readonly BootCase[], suite: BootSuite): void {
  describe.concurrent(title, () => {
    for (const { name, fstype, stack, usr, more, help, ...boot } of cases) {
      it(name, async () => {
        const facts = await factsOf(boot, help, suite);
        expect(facts.root).toMatchObject({ fstype, stack });
        expect(facts.usr?.stack).toEqual(usr);
        if (more !== undefined) expect(facts.more).toMatch(more);
      });
    }
  });
}

async function factsOf(boot: RootBoot, help: BootCase['help'], { site }: BootSuite): Promise<BootFacts> {
  if (help !== undefined) return bootWithHelp(boot, help, site());
  const { result, facts } = await bootRoot(boot, site());
  expect(result.verdict, result.consoleTail.join('\n')).toEqual({ outcome: 'passed' });
  if (facts === undefined) throw new Error('the guest came up and said nothing');
  return facts;
}
