import { expect, it } from "vitest";
import { SseReader } from "./sse";

it("reads events that arrive in pieces", () => {
  const reader = new SseReader();
  expect(reader.push('event: sync\ndata: {"epo')).toEqual([]);
  expect(reader.push('ch":3}\n\n: a comment\n\nid: r-1\nev')).toEqual([
    { id: null, event: "sync", data: { epoch: 3 } },
  ]);
  expect(reader.push('ent: policy.check.deny\ndata: {"a":\ndata: 1}\n\n')).toEqual([
    { id: "r-1", event: "policy.check.deny", data: { a: 1 } },
  ]);
});

it("leaves out what is not JSON", () => {
  expect(new SseReader().push("event: x\ndata: {\n\n")).toEqual([]);
});
