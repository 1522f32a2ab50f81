/**
 * Things to give back at the end, last taken first. (AsyncDisposableStack does not exist in Node 20.) A thing that cannot
 * be given back does not keep the others; the first error is thrown at the end.
 */
export interface Scope extends AsyncDisposable {
  use<T extends AsyncDisposable>(resource: T): T;
}

export function disposalScope(): Scope {
  const resources: AsyncDisposable[] = [];
  return {
    use: (resource) => {
      resources.push(resource);
      return resource;
    },
    [Symbol.asyncDispose]: async () => {
      const errors: unknown[] = [];
      for (let next = resources.pop(); next !== undefined; next = resources.pop()) {
        try {
          await next[Symbol.asyncDispose]();
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length > 0) throw errors[0];
    },
  };
}
