/** Ctrl-], as telnet and machinectl have it. */
const key = 0x1d;
const presses = 3;
const milliseconds = 1000;

/** Watches keys for the one that leaves a console: Ctrl-], three times within a second. Pressed less often it is the guest's. */
export class EscapeKey {
  private times: number[] = [];

  /** Whether these keys complete it. @param now milliseconds of any clock that only goes forward */
  isPressed(keys: Uint8Array, now: number): boolean {
    for (const byte of keys) {
      this.times = byte === key ? [...this.times, now].slice(-presses) : [];
      if (this.times.length === presses && now - (this.times[0] ?? 0) <= milliseconds) return true;
    }
    return false;
  }
}
