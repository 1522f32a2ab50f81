import { isErrno } from '../../base/errors.ts';
import { HttpStatusError } from '../../steps/apt/http.ts';

/** The shared cache did not do what it should; the message goes on from "it cannot be used: ". */
export class SharedCacheFault extends Error {
  override readonly name = 'SharedCacheFault';
}

/**
 * Why a shared cache cannot be used, in words that hold neither its address nor what it sent. Our own mistakes are thrown
 * again.
 */
export function faultReason(error: unknown): string {
  if (!(error instanceof Error) || error.message.startsWith('internal:')) throw error;
  if (error instanceof SharedCacheFault) return error.message;
  if (error instanceof HttpStatusError) return `it answers with status ${error.status}`;
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) return 'there is no space left for what it holds';
  const words = connectionFaults[(error as NodeJS.ErrnoException).code ?? ''];
  return words ?? error.message;
}

const connectionFaults: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EAI_AGAIN: 'its name cannot be resolved',
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'it ends the connection',
  EHOSTUNREACH: 'it cannot be reached',
  ENETUNREACH: 'it cannot be reached',
  ENOTFOUND: 'there is no host of this name',
  EPIPE: 'it ends the connection',
  EROFS: 'it is on a read-only file system',
  ETIMEDOUT: 'it does not answer',
};
