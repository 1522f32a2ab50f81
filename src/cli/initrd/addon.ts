import { readFileSync } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { HostPath, TreePath } from '../../base/brand.ts';
import { hostPath, treePath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { silentEvents } from '../../base/events.ts';
import { isDirectory, isRegularFile, makeDirectory, readTextIfExists } from '../../base/files.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { defaultJobs } from '../../engine/executor.ts';
import type { AddonParts, UkiInitrd } from '../../initrd/addon.ts';
import { addonFiles, addonParts, ukiInitrd, writeAddon } from '../../initrd/addon.ts';
import { hostFacts } from '../../initrd/host/facts.ts';
import type { HostFiles } from '../../initrd/host-files.ts';
import { hostFileEntries, readHostFiles } from '../../initrd/host-files.ts';
import type { HookCall } from '../../initrd/kernel-install.ts';
import { addonPath, hookCall } from '../../initrd/kernel-install.ts';
import type { ModuleSelection } from '../../initrd/modules/select.ts';
import { selectForInitrd } from '../../initrd/modules/select.ts';
import { requireSpace } from '../../initrd/space.ts';
import { oneLine } from '../../initrd/uki.ts';
import { writeNewc } from '../../formats/newc.ts';
import { defaultEpoch } from '../../plan/image.ts';
import { currentMode } from '../../sandbox/namespace.ts';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { treeAt } from '../../sandbox/tree.ts';
import { segmentEntries } from '../../steps/kernel-modules/segment.ts';
import { initrdOfUki } from '../inspect.ts';
import { reenter } from '../session/command-line.ts';
import { readProject } from '../session/project.ts';
import type { FlagAssignment, VerbContext } from '../verb.ts';
import { readInitrd } from './check.ts';
import { efiArchitecture } from './products.ts';
import { placeProduct } from './publish.ts';
import type { InitrdRequest } from './request.ts';
import { initrdOrder } from './request.ts';

/** Either of them switches addons on; what is in them is configuration. Later ones win. */
const addonDirectories: readonly string[] = ['run/mkimg-addon', 'etc/mkimg-addon'];

/** `mkimg initrd addon -- add VERSION DIRECTORY KERNEL...`: what the plugin for addons of kernel-install(8) runs. */
export async function runAddonHook(context: VerbContext): Promise<number> {
  const call = hookCall(context.rest, process.env);
  const path = call && addonPath(call);
  if (call?.image === undefined || path === undefined) return 0;
  const request = { ...initrdOrder(context).request, kernelVersion: call.kernelVersion };
  const directories = await presentDirectories(request.root);
  if (directories.length === 0) return 0;
  // What unpacks the initrd of the image runs in a sandbox.
  if (currentMode() === undefined) return reenter(context);
  await makeAddon({ call, path, request, directories, image: call.image }, context);
  return 0;
}

async function presentDirectories(root: HostPath): Promise<readonly HostPath[]> {
  const present: HostPath[] = [];
  for (const name of addonDirectories) {
    const path = hostPath(join(root, name));
    if (await isDirectory(path)) present.push(path);
  }
  return present;
}

interface AddonTask {
  readonly call: HookCall;
  readonly image: HostPath;
  readonly path: HostPath;
  readonly request: InitrdRequest;
  /** With configuration. */
  readonly directories: readonly HostPath[];
}

async function makeAddon(task: AddonTask, context: VerbContext): Promise<void> {
  const { call, path, request } = task;
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-addon-');
  const { patterns, profiles } = await addonSettings(task, context);
  const uki = await lookInto(
    task.image,
    { kernelVersion: request.kernelVersion, scratch: scratch.path },
    context,
  );
  const selection = await selectModules({ request, patterns, scratch: scratch.path }, context);
  const parts = addonParts(selection, uki);
  noteUnresolved(parts, call, context);
  const host = addonFiles(await readHostFiles(request.root, profiles));
  const commandLine = await addedCommandLine(request.root);
  if (parts.items.size === 0 && host.files.size === 0 && commandLine === '') return;
  const initrd = await writeAddonInitrd({ parts, host }, scratch.path);
  const stub = await addonStub(request.root);
  noteSecureBoot(call, context);
  await mkdir(dirname(path), { recursive: true });
  const bytes = (initrd === undefined ? 0 : (await stat(initrd)).size) + (await stat(stub)).size;
  await requireSpace((await isDirectory(call.bootRoot)) ? call.bootRoot : hostPath('/'), bytes);
  const { kernelVersion } = request;
  await placeProduct({
    ...{ path, type: 'file', identity: [], bytes },
    make: (temporary) => writeAddon({ stub, kernelVersion, commandLine, initrd }, temporary),
  });
}

/** What the directories say: which modules, and what for. */
async function addonSettings(
  { request, directories }: AddonTask,
  context: VerbContext,
): Promise<{ readonly patterns: readonly string[]; readonly profiles: readonly string[] }> {
  const own = ['mkimg-addon', ...directories].map((text): FlagAssignment => ({
    ...{ setting: 'Include', text },
    flag: `--include=${text}`,
  }));
  const { main } = await readProject({
    ...context,
    events: silentEvents,
    assignments: [...own, ...request.assignments],
    options: { ...context.options, isProjectless: true, extra: {} },
    rest: [],
  });
  return { patterns: main.config.KernelInitrdModules, profiles: main.config.Profiles };
}

async function lookInto(
  image: HostPath,
  { kernelVersion, scratch }: { readonly kernelVersion: string; readonly scratch: HostPath },
  context: VerbContext,
): Promise<UkiInitrd> {
  const initrd = await initrdOfUki(image, scratch);
  return readInitrd(initrd, context, ({ report, unpacked }) =>
    ukiInitrd({ nodes: report.nodes, segments: unpacked.segments }, kernelVersion),
  );
}

interface ModulesQuestion {
  readonly request: InitrdRequest;
  readonly patterns: readonly string[];
  readonly scratch: HostPath;
}

async function selectModules(
  { request, patterns, scratch }: ModulesQuestion,
  { events, signal }: VerbContext,
): Promise<ModuleSelection> {
  const { root, kernelVersion, mode, cache } = request;
  const sandbox = createSandbox({ mode: currentMode() ?? 'root', tools: { kind: 'host' }, events, signal });
  const memory = hostPath(join(cache, 'modules'));
  await makeDirectory(memory, 0o700);
  const host = mode === 'generic' ? undefined : hostFacts();
  return selectForInitrd(
    { root, kernelVersion, mode, patterns, profiles: [], host, memory },
    { work: scratch, sandbox, jobs: defaultJobs() },
  );
}

function noteUnresolved({ unresolved }: AddonParts, { image }: HookCall, { events }: VerbContext): void {
  if (unresolved.length === 0) return;
  const names = unresolved.map(({ module }) => module.path.replace(/.*\//, ''));
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'module-unresolvable' },
    message: `${image ?? ''} does not know the modules ${names.join(', ')}: it could not load them from the addon, which goes without them`,
    hint: 'Only whoever makes the image can mend that, with indexes (modules.dep.bin) of all modules in its initrd.',
  });
}

/** The administrator's own, not that of the vendor: the image has that. */
async function addedCommandLine(root: HostPath): Promise<string> {
  const configuration = process.env['KERNEL_INSTALL_CONF_ROOT'];
  const text =
    configuration === undefined || configuration === ''
      ? await treeAt(root).readText(treePath('etc/kernel/cmdline'))
      : await readTextIfExists(join(configuration, 'cmdline'));
  return oneLine(text ?? '');
}

interface AddonInitrd {
  readonly parts: AddonParts;
  readonly host: HostFiles;
}

/** One archive, not compressed: modules and firmware mostly are, and the rest is small. */
async function writeAddonInitrd(
  { parts, host }: AddonInitrd,
  scratch: HostPath,
): Promise<HostPath | undefined> {
  if (parts.items.size === 0 && host.files.size === 0) return undefined;
  const entries = new Map(
    [...segmentEntries(parts.items, defaultEpoch), ...hostFileEntries(host, defaultEpoch)].map((entry) => [
      entry.path.toString('latin1') as TreePath,
      entry,
    ]),
  );
  const sorted = [...entries.values()].sort((left, right) => Buffer.compare(left.path, right.path));
  const target = hostPath(join(scratch, 'addon.cpio'));
  await using output = await open(target, 'wx', 0o600);
  for await (const chunk of writeNewc(sorted, { epoch: defaultEpoch })) await output.writeFile(chunk);
  return target;
}

async function addonStub(root: HostPath): Promise<HostPath> {
  const stub = await treeAt(root).resolve(
    treePath(`usr/lib/systemd/boot/efi/addon${efiArchitecture()}.efi.stub`),
  );
  if (await isRegularFile(stub)) return stub;
  throw new MkimgError(
    'stub-missing',
    `There is no ${stub}, which addons of unified kernel images begin with.`,
    {
      hint: 'Install the package systemd-boot-efi (Debian, Ubuntu) or systemd-boot.',
    },
  );
}

/** The variable of the firmware: four bytes of attributes, then 1 where Secure Boot is on (UEFI 3.3). */
const secureBoot = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';

function noteSecureBoot({ image }: HookCall, { events }: VerbContext): void {
  if (!isSecureBoot()) return;
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'addon-unsigned' },
    message: `With Secure Boot, ${image ?? 'the image'} takes signed addons only, and this one is not`,
    hint: 'Sign it with a key that the firmware or shim knows (systemd-sbsign, sbsign).',
  });
}

function isSecureBoot(): boolean {
  try {
    return readFileSync(secureBoot)[4] === 1;
  } catch {
    // Not a machine with UEFI, or not to be seen from here.
    return false;
  }
}
