export type Bytes = Uint8Array<ArrayBuffer>;

const utf8 = new TextEncoder();

export function bytesOf(text: string): Bytes {
  return utf8.encode(text) as Bytes;
}

/** Standard base64 only; anything else is an error and not a guess. */
export function fromBase64(text: string): Bytes {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
    throw new Error("not base64");
  }
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function joined(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** The DER of a PEM block. */
export function fromPem(pem: string): Bytes {
  const body = pem.match(/-----BEGIN PUBLIC KEY-----([\s\S]*?)-----END PUBLIC KEY-----/)?.[1];
  if (body === undefined) throw new Error("not a public key in PEM");
  return fromBase64(body.replaceAll(/\s/g, ""));
}

/** An ECDSA signature of P-256 in DER as the 64 bytes that WebCrypto takes. */
export function rawSignature(der: Uint8Array): Bytes {
  const integer = (at: number): [Uint8Array, number] => {
    const length = der[at + 1];
    if (der[at] !== 0x02 || length === undefined || length > 33 || length === 0)
      throw new Error("not a signature");
    const value = der.slice(at + 2, at + 2 + length);
    const trimmed = value[0] === 0 ? value.slice(1) : value;
    if (value.length !== length || trimmed.length > 32) throw new Error("not a signature");
    return [joined(new Uint8Array(32 - trimmed.length), trimmed), at + 2 + length];
  };
  if (der[0] !== 0x30 || der[1] !== der.length - 2) throw new Error("not a signature");
  const [r, next] = integer(2);
  const [s, end] = integer(next);
  if (end !== der.length) throw new Error("not a signature");
  return joined(r, s);
}
