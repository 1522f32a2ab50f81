import type { HostPath } from '../../base/brand.ts';

/** What a shared cache is to us: a place for files by name. Transfers begin and end within the caller's signal. */
export interface Transport extends Disposable {
  /** Opens a file; undefined when there is none. The caller reads the body or destroys it. */
  get(name: string, signal: AbortSignal): Promise<TransportBody | undefined>;
  has(name: string, signal: AbortSignal): Promise<boolean>;
  /** Stores a file; others see it complete or not at all. `sent` hears of each part that was handed over. */
  put(name: string, upload: Upload): Promise<void>;
}

export interface TransportBody extends AsyncIterable<unknown> {
  destroy(): unknown;
}

export interface Upload {
  readonly file: HostPath;
  readonly signal: AbortSignal;
  readonly sent: (bytes: number) => void;
}
