/** Monotonic clock of the guest in microseconds; 0 where systemd knows nothing. See systemd-analyze(1). */
export interface BootTimestamps {
  /** Length of the firmware's and the loader's work, counted backwards from the kernel's start. */
  readonly firmware: number;
  readonly loader: number;
  readonly initrd: number;
  readonly userspace: number;
  readonly finish: number;
}

/** A unit that failed, with the last lines of its journal. */
export interface FailedUnit {
  readonly unit: string;
  readonly log: readonly string[];
}

/** When a unit was started and when it was up: microseconds on the guest's monotonic clock, 0 where it was not. */
export interface UnitTimes {
  readonly unit: string;
  readonly begin: number;
  readonly end: number;
}

/** Bytes. */
export interface GuestMemory {
  readonly total: number;
  readonly available: number;
}

/** What the agent says by itself, one line each. */
export type GuestRecord =
  /** The agent has begun and takes requests. */
  | { readonly event: 'hello' }
  | { readonly event: 'state'; readonly state: string }
  | { readonly event: 'failed'; readonly unit: string }
  /** A line of the journal of the unit before. */
  | { readonly event: 'log'; readonly text: string }
  /** `NAME=VALUE` of systemd's manager. */
  | { readonly event: 'times'; readonly text: string }
  /** `NAME=VALUE` of a unit; an empty one ends the unit. */
  | { readonly event: 'unit'; readonly text: string }
  /** A line of /proc/meminfo without blanks. */
  | { readonly event: 'memory'; readonly text: string }
  | { readonly event: 'done' };

/** What the agent says of a request. */
export type GuestAnswer =
  | { readonly event: 'out' | 'err'; readonly id: string; readonly text: string }
  | { readonly event: 'exit'; readonly id: string; readonly status: number };

export type AgentLine = GuestRecord | GuestAnswer;

/**
 * Reads one line from the port. undefined: nothing that the agent writes. The guest is not trusted: what does not begin
 * with the token of this machine, or does not have the expected form, is dropped.
 */
export function parseAgentLine(token: string, line: string): AgentLine | undefined {
  if (!line.startsWith(`${token} `)) return undefined;
  const [, event = '', rest = ''] = /^(\S+) ?([^]*)$/.exec(line.slice(token.length + 1)) ?? [];
  if (event === 'out' || event === 'err' || event === 'exit') return parseAnswer(event, rest);
  return parseRecord(event, rest);
}

function parseRecord(event: string, rest: string): GuestRecord | undefined {
  switch (event) {
    case 'hello':
    case 'done':
      return { event };
    case 'state':
      return { event, state: rest };
    case 'failed':
      return rest === '' ? undefined : { event, unit: rest };
    case 'log':
    case 'times':
    case 'unit':
    case 'memory':
      return { event, text: rest };
    default:
      return undefined;
  }
}

function parseAnswer(event: GuestAnswer['event'], rest: string): GuestAnswer | undefined {
  const [, id = '', text = ''] = /^(\S+) ?([^]*)$/.exec(rest) ?? [];
  if (id === '') return undefined;
  if (event !== 'exit') return { event, id, text };
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? { event, id, status: Number(text) } : undefined;
}

/** What a guest reports of its boot; grows line by line, and never beyond some limits. */
export interface BootReport {
  readonly systemState: string | undefined;
  readonly failedUnits: readonly FailedUnit[];
  readonly times: BootTimestamps | undefined;
  readonly units: readonly UnitTimes[];
  readonly memory: GuestMemory | undefined;
}

export const emptyReport: BootReport = {
  systemState: undefined,
  failedUnits: [],
  times: undefined,
  units: [],
  memory: undefined,
};

/** The agent sends 20 lines for each. */
const longestLog = 50;
/** Systems with more exist; a guest that lies must not fill the host's memory. */
const mostFailedUnits = 100;
const mostUnits = 2000;

/** The report with what one more line says. Pure. */
export function addToReport(report: BootReport, record: GuestRecord): BootReport {
  switch (record.event) {
    case 'state':
      return { ...report, systemState: record.state };
    case 'failed':
      if (report.failedUnits.length >= mostFailedUnits) return report;
      return { ...report, failedUnits: [...report.failedUnits, { unit: record.unit, log: [] }] };
    case 'log':
      return { ...report, failedUnits: addLogLine(report.failedUnits, record.text) };
    case 'times':
      return { ...report, times: addTimestamp(report.times ?? noTimes, record.text) };
    case 'unit':
      return { ...report, units: addUnitProperty(report.units, record.text) };
    case 'memory':
      return { ...report, memory: addMemory(report.memory, record.text) };
    case 'hello':
    case 'done':
      return report;
  }
}

function addLogLine(units: readonly FailedUnit[], line: string): readonly FailedUnit[] {
  const last = units.at(-1);
  if (last === undefined || last.log.length >= longestLog) return units;
  return [...units.slice(0, -1), { ...last, log: [...last.log, line] }];
}

const noTimes: BootTimestamps = { firmware: 0, loader: 0, initrd: 0, userspace: 0, finish: 0 };

const timestampNames: Readonly<Record<string, keyof BootTimestamps>> = {
  FirmwareTimestampMonotonic: 'firmware',
  LoaderTimestampMonotonic: 'loader',
  InitRDTimestampMonotonic: 'initrd',
  UserspaceTimestampMonotonic: 'userspace',
  FinishTimestampMonotonic: 'finish',
};

function addTimestamp(times: BootTimestamps, text: string): BootTimestamps {
  const [name, value] = property(text);
  const key = Object.hasOwn(timestampNames, name) ? timestampNames[name] : undefined;
  return key === undefined ? times : { ...times, [key]: wholeNumber(value) };
}

const unitProperties: Readonly<Record<string, 'begin' | 'end'>> = {
  InactiveExitTimestampMonotonic: 'begin',
  ActiveEnterTimestampMonotonic: 'end',
};

const noUnit: UnitTimes = { unit: '', begin: 0, end: 0 };

/** The unit that is being told of stands last. */
function addUnitProperty(units: readonly UnitTimes[], text: string): readonly UnitTimes[] {
  const last = units.at(-1);
  if (text === '') return last === undefined || last === noUnit ? units : [...units, noUnit];
  if (units.length > mostUnits) return units;
  const [name, value] = property(text);
  const key = Object.hasOwn(unitProperties, name) ? unitProperties[name] : undefined;
  const changed =
    name === 'Id' ? { unit: value } : key === undefined ? undefined : { [key]: wholeNumber(value) };
  return changed === undefined ? units : [...units.slice(0, -1), { ...(last ?? noUnit), ...changed }];
}

function addMemory(memory: GuestMemory | undefined, text: string): GuestMemory | undefined {
  const [, name, kibibytes = ''] = /^Mem(Total|Available):(\d+)$/.exec(text) ?? [];
  if (name === undefined) return memory;
  const known = memory ?? { total: 0, available: 0 };
  return { ...known, [name === 'Total' ? 'total' : 'available']: wholeNumber(kibibytes) * 1024 };
}

function property(text: string): readonly [name: string, value: string] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

function wholeNumber(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  return Number.isSafeInteger(number) ? number : 0;
}

/** Milliseconds that each part of the boot took; parts that the guest knows nothing about are missing. */
export interface BootPhases {
  readonly firmware?: number;
  readonly loader?: number;
  readonly kernel?: number;
  readonly initrd?: number;
  readonly userspace?: number;
  readonly total?: number;
}

/** Durations from timestamps, by the rules of systemd-analyze(1). */
export function bootPhases(times: BootTimestamps): BootPhases {
  const milliseconds = (microseconds: number): number => Math.round(microseconds / 1000);
  const { firmware, loader, initrd, userspace, finish } = times;
  const kernelEnd = initrd > 0 ? initrd : userspace;
  return {
    ...(firmware > loader ? { firmware: milliseconds(firmware - loader) } : {}),
    ...(loader > 0 ? { loader: milliseconds(loader) } : {}),
    ...(kernelEnd > 0 ? { kernel: milliseconds(kernelEnd) } : {}),
    ...(initrd > 0 && userspace > initrd ? { initrd: milliseconds(userspace - initrd) } : {}),
    ...(userspace > 0 && finish > userspace ? { userspace: milliseconds(finish - userspace) } : {}),
    ...(finish > 0 ? { total: milliseconds(Math.max(firmware, loader) + finish) } : {}),
  };
}

/** How long a unit took to come up, in milliseconds from the kernel's start. */
export interface UnitStart {
  readonly unit: string;
  readonly begin: number;
  readonly duration: number;
}

/** Units that came up during the boot, the slowest first, as `systemd-analyze blame` has them. */
export function unitStarts(units: readonly UnitTimes[]): readonly UnitStart[] {
  return units
    .filter(({ unit, begin, end }) => unit !== '' && begin > 0 && end >= begin)
    .map(({ unit, begin, end }) => ({
      unit,
      begin: Math.round(begin / 1000),
      duration: Math.round((end - begin) / 1000),
    }))
    .sort((left, right) => right.duration - left.duration || left.begin - right.begin);
}
