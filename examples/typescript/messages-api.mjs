// A stand-in for the Messages API: a model that calls some tools, one a turn, and then answers.
import { createServer } from 'node:http';

/** Serves on the loopback. `read` has what the model read of each call. */
export async function messagesApi(names, input) {
  const read = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    if (request.method !== 'POST') return response.end('{}');
    const { messages, model, tools = [] } = JSON.parse(text);
    const blocks = messages.flatMap(({ content }) => (typeof content === 'string' ? [] : content));
    const results = blocks.filter(({ type }) => type === 'tool_result');
    read.splice(0, read.length, ...results.map(({ content }) => plain(content)));
    // A request without tools, as for a title, is not a turn.
    const name = tools.length > 0 ? names[results.length] : undefined;
    stream(response, model, name, input, results.length);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, read, close };
}

function plain(content) {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('');
}

function stream(response, model, name, input, turn) {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = { id: `msg_${turn}`, type: 'message', role: 'assistant', model, content: [], usage };
  const block = name
    ? { type: 'tool_use', id: `toolu_${Date.now()}_${turn}`, name, input: {} }
    : { type: 'text', text: '' };
  const delta = name
    ? { type: 'input_json_delta', partial_json: JSON.stringify(input) }
    : { type: 'text_delta', text: 'A kill does.' };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (type, more) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`);
  send('message_start', { message: { ...message, stop_reason: null, stop_sequence: null } });
  send('content_block_start', { index: 0, content_block: block });
  send('content_block_delta', { index: 0, delta });
  send('content_block_stop', { index: 0 });
  const stop_reason = name ? 'tool_use' : 'end_turn';
  send('message_delta', { delta: { stop_reason, stop_sequence: null }, usage });
  send('message_stop', {});
  response.end();
}
