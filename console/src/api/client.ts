import createClient from "openapi-fetch";
import { attach } from "@/session/credential";
import { currentSession, end } from "@/session/store";
import { Problem } from "./problem";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** The server's origin; empty when it serves the console itself. */
export const ORIGIN = process.env.NEXT_PUBLIC_SENTINEL_URL ?? "";

/** Sends a request with the credential. A key that is no longer accepted ends the session. */
export async function send(input: Request | string, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  attach(request.headers);
  let response: Response;
  try {
    response = await fetch(request, { cache: "no-store", redirect: "error" });
  } catch (cause) {
    if (request.signal.aborted) throw cause;
    throw Problem.unreachable(cause);
  }
  if (response.status === 401 && currentSession().state === "in") end("refused");
  return response;
}

export const api = createClient<paths>({ baseUrl: ORIGIN, fetch: send });

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a successful answer; anything else is thrown as a `Problem`. */
export async function bodyOf<T>(answer: Promise<Answered<T>>): Promise<T> {
  let answered: Answered<T>;
  try {
    answered = await answer;
  } catch (cause) {
    // A body that is not JSON is no answer either.
    if (cause instanceof SyntaxError) throw Problem.from(502, null);
    throw cause;
  }
  const { data, error, response } = answered;
  if (!response.ok) throw Problem.from(response.status, error);
  return data as T;
}

/** The text of a successful answer, for what is not JSON. */
export async function textOf(path: string): Promise<string> {
  const response = await send(new URL(path, ORIGIN || window.location.href).href);
  const body = await response.text();
  if (!response.ok) throw Problem.from(response.status, parsed(body));
  return body;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
