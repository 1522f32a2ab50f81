/**
 * A clock for limits against growth without bound (quadratic work, say): milliseconds of processor time that this process
 * has used. Unlike the clock on the wall it stands still while a busy machine runs something else.
 */
export function processorMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
