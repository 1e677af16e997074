/**
 * The lane of an ordering key: FNV-1a with 32 bits over its UTF-8 bytes, modulo the lanes. Every instance and every
 * release must agree on it, so it never changes.
 */
export function laneOf(orderingKey: string, lanes: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(orderingKey)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0) % lanes;
}
