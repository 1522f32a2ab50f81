/** A package's scripts that run when it is installed in a new tree; absent where it has none. */
export interface InstallScripts {
  readonly preinst?: string;
  readonly postinst?: string;
}

/**
 * Sections that debhelper adds for what a package declares in files, which mkimg follows itself: accounts, volatile files,
 * units; and for moving configuration files of older versions (dh_installdeb).
 */
const declaredSections = [
  ...['dh_installdeb', 'dh_installinit', 'dh_installsystemd', 'dh_installsystemduser', 'dh_installsysusers'],
  ...[
    'dh_installtmpfiles',
    'dh_makeshlibs',
    'dh_systemd_enable',
    'dh_systemd_start',
    'dh_installalternatives',
  ],
];

/** What the frame of a script consists of, in which debhelper puts its sections (debhelper(7)). */
const frame = [
  /^set -[eux]+$/,
  /^(?::|true|exit [01]|;;|esac|fi|return 0)$/,
  /^case "?\$\{?1\}?"? in$/,
  /^\(?[a-z|* -]+\)(?:\s*;;)?$/,
  /^if \[ "?\$\{?1\}?"? = "?[a-z-]+"? \]; then$/,
  /^echo .*\$\{?1.*>&2$/,
];

/** True when a script does nothing but what debhelper's sections do. Pure. */
export function isDeclarative(script: string): boolean {
  const sections = declaredSections.join('|');
  const own = script.replace(
    new RegExp(
      `# Automatically added by (?:${sections})(?:/\\S+)?\\n.*?# End automatically added section`,
      'gs',
    ),
    '',
  );
  return own
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .every((line) => frame.some((pattern) => pattern.test(line)));
}

/** A link that a package registers with update-alternatives(1). Paths without the leading slash. */
export interface AlternativeLink {
  readonly link: string;
  readonly name: string;
  readonly path: string;
}

export interface Alternative extends AlternativeLink {
  readonly priority: number;
  /** Links that follow it. */
  readonly slaves: readonly AlternativeLink[];
}

/** The alternatives that a script registers. Pure. */
export function alternativesOf(script: string): readonly Alternative[] {
  const text = script.replace(/\\\n/g, ' ');
  const calls = text.matchAll(
    /update-alternatives(?:[ \t]+--[a-z]+)*?[ \t]+--install[ \t]+\/(\S+)[ \t]+(\S+)[ \t]+\/(\S+)[ \t]+(\d+)(.*)/g,
  );
  return [...calls].map(([, link = '', name = '', path = '', priority = '0', rest = '']) => ({
    ...{ link, name, path, priority: Number(priority) },
    slaves: [...rest.matchAll(/--slave[ \t]+\/(\S+)[ \t]+(\S+)[ \t]+\/(\S+)/g)].map(
      ([, slaveLink = '', slaveName = '', slavePath = '']) => ({
        link: slaveLink,
        name: slaveName,
        path: slavePath,
      }),
    ),
  }));
}

/** Of alternatives of one name the one that update-alternatives chooses: the highest priority, the first of equal ones. */
export function chosenAlternatives(alternatives: readonly Alternative[]): readonly Alternative[] {
  const chosen = new Map<string, Alternative>();
  for (const alternative of alternatives) {
    const known = chosen.get(alternative.name);
    if (known === undefined || known.priority < alternative.priority)
      chosen.set(alternative.name, alternative);
  }
  return [...chosen.values()];
}
