import { runAddonHook } from './initrd/addon.ts';
import { withCache } from './initrd/cache-place.ts';
import { runCheck } from './initrd/check.ts';
import { runHook } from './initrd/kernel-install.ts';
import { runPostUpdate } from './initrd/post-update.ts';
import { productOf } from './initrd/products.ts';
import { publishProduct } from './initrd/publish.ts';
import { refreshInitrds, rememberStanding } from './initrd/refresh.ts';
import type { InitrdOrder } from './initrd/request.ts';
import { initrdOrder } from './initrd/request.ts';
import { obtainSegments } from './initrd/segments.ts';
import { reenter } from './session/command-line.ts';
import type { Verb, VerbContext } from './verb.ts';

const hookWord = 'kernel-install';
const addonWord = 'addon';

export const initrdVerb: Verb = {
  name: 'initrd',
  summary: 'Make the initrd of this machine, or check one: `initrd check FILE`',
  doc: `Makes an initrd for a kernel of this machine out of packages, with the modules and the firmware that it needs. Parts
of which nothing changed are taken from the cache. \`--format=uki\` makes a unified kernel image, \`--format=directory\` a
directory; \`--output\` says where, by default \`initrd\` in the working directory. Settings come from
\`/usr/lib/mkimg-initrd\`, \`/usr/local/lib/mkimg-initrd\`, \`/run/mkimg-initrd\` and \`/etc/mkimg-initrd\`, later ones win.

\`mkimg initrd --refresh\` makes the initrds again that were made before and of which a package, a module or a file changed.

\`mkimg initrd check FILE\` reads an initrd as the kernel does, archive by archive, and tells what is wrong with it; exit code 1
if a kernel would not start from it. \`mkimg initrd kernel-install\` and \`addon\` are what the plugins of kernel-install(8) run.`,
  words: {
    usage: '[check FILE|kernel-install -- ARGUMENT...|addon -- ARGUMENT...]',
    choices: ['check', hookWord, addonWord],
  },
  answers: true,
  isTerse: ({ words, options }) =>
    options.extra['quiet'] !== undefined ||
    ([hookWord, addonWord].includes(words[0] ?? '') && !(Number(process.env['KERNEL_INSTALL_VERBOSE']) > 0)),
  options: [
    {
      name: 'kernel-version',
      takesValue: true,
      summary: 'Kernel that the initrd is for; by default the running one',
    },
    { name: 'kernel-image', takesValue: true, summary: 'Kernel of a unified kernel image' },
    { name: 'generic', takesValue: false, summary: 'Modules for common machines, whatever this one is' },
    { name: 'host', takesValue: false, summary: 'Only modules that this machine needs' },
    {
      name: 'host-plus',
      takesValue: false,
      summary: 'What this machine needs, and what it takes to move to a similar one; the default',
    },
    {
      name: 'refresh',
      takesValue: false,
      summary: 'Make the initrds again that were made before, where something of theirs changed',
    },
    {
      name: 'post-update',
      takesValue: false,
      summary: 'Then run what is in /etc/initramfs/post-update.d, now and at each refresh',
    },
    { name: 'quiet', takesValue: false, summary: 'Only say what goes wrong' },
    {
      name: 'root',
      takesValue: true,
      summary: 'The system that the initrd is for; by default the running one',
    },
  ],
  run: (context) => {
    const [word] = context.words;
    if (word === undefined) return runInitrd(context);
    if (word === addonWord) return runAddonHook(context);
    return word === hookWord ? runHook(context) : runCheck(context);
  },
};

async function runInitrd(context: VerbContext): Promise<number> {
  const refreshes = context.options.extra['refresh'] !== undefined;
  const done = refreshes
    ? await refreshInitrds(context, (order) => carryOut(order, context))
    : await carryOut(initrdOrder(context), context);
  return done ?? reenter(context);
}

/** undefined where that takes a namespace, which this process is not in. */
function carryOut(order: InitrdOrder, context: VerbContext): Promise<number | undefined> {
  return withCache(order.request, context, async (place) => {
    const { request } = place;
    const obtained = await obtainSegments(request, context);
    if (obtained === undefined) return undefined;
    const product = await productOf({ ...order, request }, obtained.segments, context);
    await publishProduct(product, request.cache, context);
    if (order.postUpdate) await runPostUpdate(order);
    if (!place.isTemporary)
      await rememberStanding({ way: { order }, request, segments: obtained.segments }, context);
    return 0;
  });
}
