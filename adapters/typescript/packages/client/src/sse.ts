/** Server-sent events: the part of the WHATWG's standard that Sentinel uses. */

export interface Block {
  id: string | undefined;
  event: string;
  data: string;
}

/** A longer line or event is not Sentinel's. Characters. */
const MAX_LENGTH = 1024 * 1024;

/** Puts events together from text that arrives in any pieces. */
export class Parser {
  #rest = '';
  #id: string | undefined;
  #event = '';
  #data: string[] = [];
  #size = 0;

  /** The events that are complete with `piece`. @throws RangeError when a line or an event is too long. */
  take(piece: string): Block[] {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    const found: Block[] = [];
    for (const line of lines) {
      const block = this.#line(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (block) found.push(block);
    }
    if (this.#rest.length > MAX_LENGTH || this.#size > MAX_LENGTH) {
      throw new RangeError('a line of the stream is too long');
    }
    return found;
  }

  #line(line: string): Block | undefined {
    if (line === '') return this.#complete();
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (name === 'id') this.#id = value;
    else if (name === 'event') this.#event = value;
    else if (name === 'data') {
      this.#data.push(value);
      this.#size += value.length;
    }
    // Else it is a comment, such as the heartbeat, or what this version does not know.
    return undefined;
  }

  #complete(): Block | undefined {
    const block = { id: this.#id, event: this.#event, data: this.#data.join('\n') };
    [this.#id, this.#event, this.#data, this.#size] = [undefined, '', [], 0];
    return block.data === '' ? undefined : block;
  }
}
