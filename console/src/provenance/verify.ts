import {
  type Bytes,
  bytesOf,
  equal,
  fromBase64,
  joined,
  rawSignature,
  sha256,
  toHex,
} from "./encoding";
import { leafHash, rootFrom } from "./merkle";
import { fingerprint, type Trust } from "./trust";

export type Outcome = "passed" | "failed" | "skipped";

export interface BundleCheck {
  name: string;
  outcome: Outcome;
  detail: string;
}

export interface BundleResult {
  /** Every check that decides was passed; one that was skipped is not. */
  verified: boolean;
  checks: BundleCheck[];
  /** What the signed statement says; shown only when its signature holds. */
  statement: Record<string, unknown> | null;
}

/** Without these a bundle proves nothing. */
const NEEDED = ["envelope", "signature", "statement", "checkpoint", "inclusion", "key"];

interface Proof {
  rootHash: string;
  treeSize: string;
  hashes?: string[];
  checkpoint: { envelope: string };
}

interface Entry {
  logIndex: string;
  kindVersion: { kind: string; version: string };
  canonicalizedBody: string;
  inclusionProof: Proof & { logIndex: string };
}

interface Bundle {
  mediaType: string;
  verificationMaterial: { publicKey: { hint: string }; tlogEntries: Entry[] };
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
}

interface Opened {
  hint: string;
  payload: Bytes;
  pae: Bytes;
  sig: string;
  entry: Entry;
}

class Refused extends Error {}

function refuse(detail: string): never {
  throw new Refused(detail);
}

const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const PREDICATE = "https://sentinel-mcp.dev/attestation/agent-action/v1";

function open(text: string): Opened {
  const bundle = JSON.parse(text) as Bundle;
  if (bundle.mediaType !== "application/vnd.dev.sigstore.bundle.v0.3+json")
    refuse("not a Sigstore bundle 0.3");
  const { payload, payloadType, signatures } = bundle.dsseEnvelope;
  const { tlogEntries, publicKey } = bundle.verificationMaterial;
  const [signature] = signatures;
  const [entry] = tlogEntries;
  if (payloadType !== PAYLOAD_TYPE) refuse(`the payload is ${payloadType}`);
  if (signatures.length !== 1 || !signature) refuse("not exactly one signature");
  if (tlogEntries.length !== 1 || !entry) refuse("not exactly one entry of a log");
  const bytes = fromBase64(payload);
  const pae = joined(
    bytesOf(`DSSEv1 ${payloadType.length} ${payloadType} ${bytes.length} `),
    bytes,
  );
  return { hint: publicKey.hint, payload: bytes, pae, sig: signature.sig, entry };
}

async function signedBy(opened: Opened, trust: Trust): Promise<Bytes> {
  const key =
    trust.keys.find(({ hint }) => hint === opened.hint) ??
    refuse(`the key ${opened.hint} is not trusted`);
  if ((await fingerprint(key.der)) !== key.hint)
    refuse("the key is not the one that its name says");
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const imported = await crypto.subtle.importKey("spki", key.der, algorithm, false, ["verify"]);
  const signature = rawSignature(fromBase64(opened.sig));
  const holds = await crypto.subtle.verify(
    { name: "ECDSA", hash: "SHA-256" },
    imported,
    signature,
    opened.pae,
  );
  return holds ? key.der : refuse("the key did not sign this payload");
}

function statementOf(payload: Bytes): Record<string, unknown> {
  const statement = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  if (statement._type !== "https://in-toto.io/Statement/v1") refuse("not an in-toto statement");
  if (statement.predicateType !== PREDICATE)
    refuse(`a statement of the type ${statement.predicateType}`);
  const { id, tenant, tool, action } = statement.predicate ?? {};
  if (![id, tenant, tool, action].every((value) => typeof value === "string"))
    refuse("the statement is not complete");
  return statement;
}

interface Checkpoint {
  origin: string;
  size: bigint;
  root: Bytes;
}

/** Reads a signed note, and verifies the log's own signature of it. */
async function checkpointOf(note: string, trust: Trust): Promise<Checkpoint> {
  const at = note.indexOf("\n\n");
  if (at < 0) refuse("not a signed note");
  const body = note.slice(0, at + 1);
  const [origin, size, root] = body.split("\n");
  if (!origin || !/^(0|[1-9]\d*)$/.test(size ?? "") || !root) refuse("not a checkpoint");
  const log =
    trust.logs.find((each) => each.origin === origin) ?? refuse(`the log ${origin} is not trusted`);
  const key = await crypto.subtle.importKey("spki", log.der, { name: "Ed25519" }, false, [
    "verify",
  ]);
  for (const line of note.slice(at + 2).split("\n")) {
    const [, name, encoded] = line.match(/^— (\S+) (\S+)$/) ?? [];
    if (name !== origin || encoded === undefined) continue;
    const signature = fromBase64(encoded);
    if (!equal(signature.slice(0, 4), log.keyId.slice(0, 4))) continue;
    if (await crypto.subtle.verify({ name: "Ed25519" }, key, signature.slice(4), bytesOf(body))) {
      return { origin, size: BigInt(size ?? ""), root: fromBase64(root) };
    }
  }
  return refuse(`the log ${origin} did not sign this checkpoint`);
}

/** The one form in which the log writes a leaf: another is another leaf. */
function leafOf(digest: Bytes, sig: string, der: Bytes): Bytes {
  const base64 = (bytes: Bytes) => btoa(String.fromCharCode(...bytes));
  return bytesOf(
    JSON.stringify({
      apiVersion: "0.0.2",
      kind: "hashedrekord",
      spec: {
        hashedRekordV002: {
          data: { algorithm: "SHA2_256", digest: base64(digest) },
          signature: {
            content: sig,
            verifier: {
              keyDetails: "PKIX_ECDSA_P256_SHA_256",
              publicKey: { rawBytes: base64(der) },
            },
          },
        },
      },
    }),
  );
}

async function included(opened: Opened, checkpoint: Checkpoint, der: Bytes): Promise<void> {
  const { entry } = opened;
  const proof = entry.inclusionProof;
  const leaf = leafOf(await sha256(opened.pae), opened.sig, der);
  if (!equal(leaf, fromBase64(entry.canonicalizedBody)))
    refuse("the entry of the log is about something else");
  if (proof.logIndex !== entry.logIndex) refuse("two places in the log are stated");
  if (BigInt(proof.treeSize) !== checkpoint.size) refuse("the proof is for a tree of another size");
  const path = (proof.hashes ?? []).map(fromBase64);
  const root = await rootFrom(await leafHash(leaf), BigInt(proof.logIndex), checkpoint.size, path);
  if (root === null || !equal(root, checkpoint.root))
    refuse("the path does not lead to the root of the checkpoint");
  if (!equal(fromBase64(proof.rootHash), checkpoint.root)) refuse("the proof states another root");
}

async function committed(statement: Record<string, unknown>, artifact: Bytes): Promise<void> {
  const [subject] = statement.subject as { digest?: { sha256?: string } }[];
  const digest = toHex(await sha256(artifact));
  if (subject?.digest?.sha256 !== digest) refuse(`the file has the digest ${digest}`);
}

/** Verifies a bundle with WebCrypto, by what is trusted and nothing else. */
export async function verifyBundle(
  text: string,
  trust: Trust,
  artifact: Bytes | null = null,
): Promise<BundleResult> {
  const checks: BundleCheck[] = [];
  /** A step whose failure is a failed check; without what it needs it is skipped. */
  const step = async <T>(
    name: string,
    needs: readonly unknown[],
    run: () => Promise<T> | T,
    detail: (value: T) => string,
  ): Promise<T | null> => {
    if (needs.some((need) => need === null)) {
      checks.push({ name, outcome: "skipped", detail: "an earlier check did not pass" });
      return null;
    }
    try {
      const value = await run();
      checks.push({ name, outcome: "passed", detail: detail(value) });
      return value;
    } catch (error) {
      checks.push({
        name,
        outcome: "failed",
        detail: error instanceof Error ? error.message : "cannot be read",
      });
      return null;
    }
  };
  const opened = await step(
    "envelope",
    [],
    () => open(text),
    () => "one signed in-toto payload",
  );
  const der = await step(
    "signature",
    [opened],
    () => signedBy(opened as Opened, trust),
    () => `signed by ${opened?.hint}`,
  );
  const statement = await step(
    "statement",
    [opened, der],
    () => statementOf((opened as Opened).payload),
    (value) => `manifest ${(value.predicate as { id: string }).id}`,
  );
  const checkpoint = await step(
    "checkpoint",
    [opened],
    () => checkpointOf((opened as Opened).entry.inclusionProof.checkpoint.envelope, trust),
    ({ origin, size }) => `log ${origin} of ${size} entries`,
  );
  const inclusion = await step(
    "inclusion",
    [opened, checkpoint, der],
    async () => {
      await included(opened as Opened, checkpoint as Checkpoint, der as Bytes);
      return true;
    },
    () => `entry ${opened?.entry.logIndex} of the log`,
  );
  await step(
    "key",
    [der, inclusion],
    () => {
      const revokedAt = trust.keys.find(({ hint }) => hint === opened?.hint)?.revokedAt ?? null;
      const index = BigInt(opened?.entry.logIndex ?? 0);
      if (revokedAt !== null && index >= revokedAt)
        refuse(`the key was revoked by entry ${revokedAt}`);
      return true;
    },
    () => "not revoked before the entry, as far as is known here",
  );
  if (artifact === null) {
    checks.push({
      name: "payload_commitment",
      outcome: "skipped",
      detail: "no payload with its salt was given",
    });
  } else {
    await step(
      "payload_commitment",
      [statement],
      async () => {
        await committed(statement as Record<string, unknown>, artifact);
        return true;
      },
      () => "the file is what the statement commits to",
    );
  }
  const failed = checks.some(({ outcome }) => outcome === "failed");
  const passed = NEEDED.every((name) =>
    checks.some((check) => check.name === name && check.outcome === "passed"),
  );
  return { verified: passed && !failed, checks, statement };
}
