// Verifies bundles with @sigstore/verify, as it comes. Reads one JSON object from standard input,
// {bundles: [path], trustedRoot: path, publicKey: base64 DER, hint}, and writes one line for each
// bundle: `accepted`, or `rejected: ` and why.
import { readFileSync } from "node:fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { PublicKeyDetails, TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

const { bundles, trustedRoot, publicKey, hint } = JSON.parse(readFileSync(0, "utf8"));
const read = (path) => JSON.parse(readFileSync(path, "utf8"));

const keys = {
  [hint]: {
    rawBytes: Buffer.from(publicKey, "base64"),
    keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256,
  },
};
const trust = toTrustMaterial(TrustedRoot.fromJSON(read(trustedRoot)), keys);
// Nothing but the log entry: there is no authority of time.
const verifier = new Verifier(trust, { tlogThreshold: 1, timestampThreshold: 0 });

for (const path of bundles) {
  try {
    verifier.verify(toSignedEntity(bundleFromJSON(read(path))));
    console.log("accepted");
  } catch (error) {
    console.log(`rejected: ${String(error.message).replaceAll("\n", " ")}`);
  }
}
