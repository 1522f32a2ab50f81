/**
 * Resources that end together, last first. What AsyncDisposableStack does, which Node 20 does not have.
 * Each is disposed of even if another one fails; the first failure is thrown at the end.
 */
export class Resources implements AsyncDisposable {
  private entries: (AsyncDisposable | Disposable)[] = [];

  /** Takes over a resource and returns it. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.entries.push(resource);
    return resource;
  }

  /** Hands everything on to the caller; this object is empty afterwards. */
  move(): Resources {
    const moved = new Resources();
    moved.entries = this.entries;
    this.entries = [];
    return moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const entries = this.entries.reverse();
    this.entries = [];
    const failures: unknown[] = [];
    for (const entry of entries) {
      try {
        if (Symbol.asyncDispose in entry) await entry[Symbol.asyncDispose]();
        else entry[Symbol.dispose]();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
