import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { keyOfPem, keysOf, logsOf, type Trust } from "./trust";
import { verifyBundle } from "./verify";

const fixture = (name: string) => readFileSync(`${__dirname}/../../test/fixtures/${name}`);
const text = fixture("bundle.json").toString();
const keys = JSON.parse(fixture("signing-keys.json").toString()).items;
const trust: Trust = {
  keys: keysOf(keys),
  logs: logsOf(JSON.parse(fixture("trusted-root.json").toString())),
};
const artifact = new Uint8Array(fixture("artifact"));

// biome-ignore lint/suspicious/noExplicitAny: a test breaks whatever it likes
type Broken = any;
const broken = (change: (bundle: Broken) => void) => {
  const bundle = JSON.parse(text);
  change(bundle);
  return JSON.stringify(bundle);
};
const entry = (bundle: Broken) => bundle.verificationMaterial.tlogEntries[0];
const failures = async (
  bundle: string,
  by: Trust = trust,
  file: Uint8Array<ArrayBuffer> | null = null,
) => {
  const result = await verifyBundle(bundle, by, file);
  expect(result.verified).toBe(false);
  return result.checks.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
};
const flipped = (base64: string) => {
  const bytes = Buffer.from(base64, "base64");
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return bytes.toString("base64");
};

describe("a bundle of the server", () => {
  it("verifies, with the payload and without", async () => {
    const result = await verifyBundle(text, trust, artifact);
    expect(result.checks.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      "envelope passed",
      "signature passed",
      "statement passed",
      "checkpoint passed",
      "inclusion passed",
      "key passed",
      "payload_commitment passed",
    ]);
    expect(result.verified).toBe(true);
    expect((await verifyBundle(text, trust)).verified).toBe(true);
  });

  it("names its key as a file of that key does", async () => {
    expect((await keyOfPem(keys[0].public_key)).hint).toBe(keys[0].hint);
  });
});

describe("a forged bundle", () => {
  it("fails at the check that it breaks", async () => {
    expect(await failures("{")).toEqual(["envelope"]);
    expect(await failures("{}")).toEqual(["envelope"]);
    const payload = (bundle: Broken) => {
      const statement = Buffer.from(bundle.dsseEnvelope.payload, "base64")
        .toString()
        .replace("support", "finance");
      bundle.dsseEnvelope.payload = Buffer.from(statement).toString("base64");
    };
    expect(await failures(broken(payload))).toEqual(["signature"]);
    expect(
      await failures(
        broken((bundle) => {
          entry(bundle).logIndex = "1";
          entry(bundle).inclusionProof.logIndex = "1";
        }),
      ),
    ).toEqual(["inclusion"]);
    expect(
      await failures(
        broken((bundle) => {
          entry(bundle).inclusionProof.hashes = [flipped(entry(bundle).inclusionProof.hashes[0])];
        }),
      ),
    ).toEqual(["inclusion"]);
    expect(
      await failures(
        broken((bundle) => {
          entry(bundle).canonicalizedBody = flipped(entry(bundle).canonicalizedBody);
        }),
      ),
    ).toEqual(["inclusion"]);
    expect(
      await failures(
        broken((bundle) => {
          entry(bundle).inclusionProof.rootHash = flipped(entry(bundle).inclusionProof.rootHash);
        }),
      ),
    ).toEqual(["inclusion"]);
    expect(
      await failures(
        broken((bundle) => {
          const note = entry(bundle).inclusionProof.checkpoint;
          note.envelope = note.envelope.replace("\n3\n", "\n4\n");
        }),
      ),
    ).toEqual(["checkpoint"]);
  });

  it("fails with keys and logs that are not trusted", async () => {
    expect(await failures(text, { ...trust, keys: [] })).toEqual(["signature"]);
    expect(await failures(text, { ...trust, logs: [] })).toEqual(["checkpoint"]);
    const revoked = trust.keys.map((key) => ({ ...key, revokedAt: 2n }));
    expect(await failures(text, { ...trust, keys: revoked })).toEqual(["key"]);
    const later = trust.keys.map((key) => ({ ...key, revokedAt: 3n }));
    expect((await verifyBundle(text, { ...trust, keys: later })).verified).toBe(true);
  });

  it("fails with another payload", async () => {
    expect(await failures(text, trust, new Uint8Array([1]))).toEqual(["payload_commitment"]);
  });

  it("shows no statement whose signature does not hold", async () => {
    expect((await verifyBundle(text, { ...trust, keys: [] })).statement).toBeNull();
  });
});
