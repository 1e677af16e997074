import { randomBytes } from 'node:crypto';

/** A topic or group name no other test uses: the prefix and ten random hex digits. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(5).toString('hex')}`;
}
