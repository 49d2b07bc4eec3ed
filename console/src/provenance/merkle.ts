import { type Bytes, joined, sha256 } from "./encoding";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export function leafHash(leaf: Bytes): Promise<Bytes> {
  return sha256(joined(LEAF, leaf));
}

/**
 * The root that the path leads to (RFC 9162, 2.1.3.2); `null` when the path does not fit the place.
 */
export async function rootFrom(
  hash: Bytes,
  index: bigint,
  size: bigint,
  path: readonly Bytes[],
): Promise<Bytes | null> {
  if (index < 0n || index >= size) return null;
  let node = index;
  let last = size - 1n;
  let root = hash;
  for (const sibling of path) {
    if (last === 0n) return null;
    if (node % 2n === 1n || node === last) {
      root = await sha256(joined(NODE, sibling, root));
      while (node % 2n === 0n && node !== 0n) {
        node /= 2n;
        last /= 2n;
      }
    } else {
      root = await sha256(joined(NODE, root, sibling));
    }
    node /= 2n;
    last /= 2n;
  }
  return last === 0n ? root : null;
}
