import { type Bytes, bytesOf, fromBase64, fromPem, joined, sha256, toBase64 } from "./encoding";

/** A key that signs manifests. */
export interface SigningKey {
  hint: string;
  der: Bytes;
  state: string;
  /** Entries of the log from here on are not trusted. */
  revokedAt: bigint | null;
}

/** A log, by the name in its checkpoints. */
export interface Log {
  origin: string;
  /** SubjectPublicKeyInfo. */
  der: Bytes;
  keyId: Bytes;
}

/** What a verification starts from. */
export interface Trust {
  keys: SigningKey[];
  logs: Log[];
}

interface KeyDocument {
  hint: string;
  public_key: string;
  state: string;
  events: { event: string; log_index?: number | null }[];
}

function ssh(part: Uint8Array): Bytes {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, part.length);
  return joined(length, part);
}

/** The fingerprint of a P-256 key as `ssh-keygen -l` prints it: how a bundle names its key. */
export async function fingerprint(der: Bytes): Promise<string> {
  const blob = joined(
    ssh(bytesOf("ecdsa-sha2-nistp256")),
    ssh(bytesOf("nistp256")),
    ssh(der.slice(-65)),
  );
  return `SHA256:${toBase64(await sha256(blob)).replace(/=+$/, "")}`;
}

/** Keys as `GET /v1/provenance/keys` lists them. */
export function keysOf(items: readonly KeyDocument[]): SigningKey[] {
  return items.map(({ hint, public_key, state, events }) => {
    const revocation = events.find(({ event }) => event === "revoked");
    const index = revocation?.log_index;
    const revoked = state === "revoked" || revocation !== undefined;
    return {
      hint,
      der: fromPem(public_key),
      state,
      // Revoked at a place that is not known is revoked from the first entry on.
      revokedAt: revoked ? BigInt(index ?? 0) : null,
    };
  });
}

/** A key alone, as a file has it. */
export async function keyOfPem(pem: string): Promise<SigningKey> {
  const der = fromPem(pem);
  return { hint: await fingerprint(der), der, state: "from a file", revokedAt: null };
}

/** The logs of a Sigstore trusted root. */
export function logsOf(root: unknown): Log[] {
  const { tlogs } = root as {
    tlogs?: { baseUrl: string; publicKey: { rawBytes: string }; logId: { keyId: string } }[];
  };
  return (tlogs ?? []).map(({ baseUrl, publicKey, logId }) => ({
    origin: baseUrl.replace(/^https?:\/\//, "").replace(/\/$/, ""),
    der: fromBase64(publicKey.rawBytes),
    keyId: fromBase64(logId.keyId),
  }));
}
