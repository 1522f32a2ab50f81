/** Edits of passwd(5) and shadow(5) as text. Lines that are not touched stay byte for byte. */

/** What stands in passwd(5) when the password is kept in shadow(5). */
const seeShadow = 'x';

/** True if the text can stand in one field of passwd(5) or shadow(5). */
export function isAccountField(text: string): boolean {
  return !/[:\n\r\0]/.test(text);
}

/**
 * shadow(5) with this hash for a user; a user who has no line gets one. The date of the last change stays as it is: today's
 * date would make two builds differ, and 0 would force the user to change the password.
 */
export function withPasswordHash(shadow: string, user: string, hash: string): string {
  return editUser(shadow, user, {
    edit: (fields) => [fields[0] ?? user, hash, ...fields.slice(2)],
    absent: `${user}:${hash}:::::::`,
  });
}

/** passwd(5) that sends readers to shadow(5) for a user's password. A user without a line stays without. */
export function withShadowedPassword(passwd: string, user: string): string {
  return editUser(passwd, user, { edit: (fields) => [fields[0] ?? user, seeShadow, ...fields.slice(2)] });
}

/** passwd(5) with this login shell for a user. A user without a line stays without. */
export function withShell(passwd: string, user: string, shell: string): string {
  return editUser(passwd, user, { edit: (fields) => [...fields.slice(0, 6), shell] });
}

interface UserEdit {
  readonly edit: (fields: readonly string[]) => readonly string[];
  /** Line for a user who has none; without it, nothing is added. */
  readonly absent?: string;
}

function editUser(text: string, user: string, { edit, absent }: UserEdit): string {
  const lines = text.split('\n').map((line) => line.split(':'));
  const isTheirs = (fields: readonly string[]): boolean => fields[0] === user;
  if (!lines.some(isTheirs) && absent !== undefined) {
    const separator = text === '' || text.endsWith('\n') ? '' : '\n';
    return `${text}${separator}${absent}\n`;
  }
  return lines.map((fields) => (isTheirs(fields) ? edit(fields) : fields).join(':')).join('\n');
}
