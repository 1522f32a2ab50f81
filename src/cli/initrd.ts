import { runCheck } from './initrd/check.ts';
import { initrdFile, publishProduct } from './initrd/publish.ts';
import { initrdOrder } from './initrd/request.ts';
import { obtainSegments } from './initrd/segments.ts';
import { reenter } from './session/command-line.ts';
import type { Verb, VerbContext } from './verb.ts';

export const initrdVerb: Verb = {
  name: 'initrd',
  summary: 'Make the initrd of this machine, or check one: `initrd check FILE`',
  doc: `Makes an initrd for a kernel of this machine out of packages.`,
  words: { usage: '[check FILE]', choices: ['check'] },
  answers: true,
  options: [
    {
      name: 'kernel-version',
      takesValue: true,
      summary: 'Kernel that the initrd is for; by default the running one',
    },
    { name: 'kernel-image', takesValue: true, summary: 'Kernel of the unified kernel image' },
    { name: 'generic', takesValue: false, summary: 'Modules for common machines, whatever this one is' },
    { name: 'host', takesValue: false, summary: 'Only modules that this machine needs' },
    {
      name: 'host-plus',
      takesValue: false,
      summary: 'What this machine needs, and what similar ones do (default)',
    },
    {
      name: 'root',
      takesValue: true,
      summary: 'The system that the initrd is for; by default the running one',
    },
  ],
  run: (context) => (context.words.length === 0 ? runInitrd(context) : runCheck(context)),
};

async function runInitrd(context: VerbContext): Promise<number> {
  const order = initrdOrder(context);
  const segments = await obtainSegments(order.request, context);
  if (segments === undefined) return reenter(context);
  await publishProduct(initrdFile(segments.segments, order.output), order.request.cache, context);
  return 0;
}
