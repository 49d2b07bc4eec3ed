import {
  failureOf,
  MAX_BODY,
  type Received,
  redirected,
  type Transport,
  tooLarge,
} from './transport.js';

export function byFetch(url: string, fetch: typeof globalThis.fetch): Transport {
  return async ({ method, path, headers, body }, deadline) => {
    const controller = new AbortController();
    const done = deadline.onEnd(() => controller.abort());
    try {
      const response = await fetch(url + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        redirect: 'manual',
        signal: controller.signal,
      });
      return await received(response);
    } catch (error) {
      throw failureOf(error);
    } finally {
      done();
    }
  };
}

async function received(response: Response): Promise<Received> {
  const { status } = response;
  // A browser hides the status of a redirect that is not followed.
  if (response.type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    await discard(response);
    throw redirected();
  }
  const type = response.headers.get('content-type') ?? '';
  return { status, type, body: await bounded(response) };
}

async function bounded(response: Response): Promise<Uint8Array> {
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  if (length > MAX_BODY) {
    await discard(response);
    throw tooLarge();
  }
  // The length is that of what arrives, so nothing needs counting.
  if (length >= 0 && !response.headers.has('content-encoding')) {
    return new Uint8Array(await response.arrayBuffer());
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.byteLength;
    // Leaving the loop cancels the body.
    if (size > MAX_BODY) throw tooLarge();
    parts.push(part);
  }
  return joined(parts, size);
}

function joined(parts: Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}
