import type { Message } from "./event";

/** Reads the lines of `text/event-stream` as they arrive. */
export class SseReader {
  #rest = "";
  #id: string | null = null;
  #event = "";
  #data: string[] = [];

  push(chunk: string): Message[] {
    const lines = (this.#rest + chunk).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): Message[] {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") this.#id = value;
    else if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    return [];
  }

  #dispatch(): Message[] {
    const { id, event, text } = { id: this.#id, event: this.#event, text: this.#data.join("\n") };
    this.#id = null;
    this.#event = "";
    this.#data = [];
    if (text === "") return [];
    try {
      return [{ id, event, data: JSON.parse(text) }];
    } catch {
      return [];
    }
  }
}
