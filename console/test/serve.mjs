// Stands in for the embedded server until the binary serves `console/out` at `/`: the exported
// files and the interface from one origin, under the content security policy that the binary is to
// send.
//
// Usage: node test/serve.mjs --api http://127.0.0.1:8000 --listen 8080 [--files out]

import { createReadStream, existsSync, statSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { extname, join, normalize } from "node:path";
import { createGzip } from "node:zlib";

export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".woff2": "font/woff2",
};

/** What the binary answers itself; everything else is a file. */
const API =
  /^\/(v1|access\/v1|register|policy\/|kill$|kill\/|provenance\/(sign|verify)|healthz|readyz|metrics|openapi\.json|acs|mcp\/)/;

function fileFor(files, path) {
  const name = normalize(decodeURIComponent(path)).replace(/^(\.\.[/\\])+/, "");
  for (const candidate of [join(files, name), join(files, name, "index.html")]) {
    if (candidate.startsWith(files) && existsSync(candidate) && statSync(candidate).isFile()) {
      return candidate;
    }
  }
  return null;
}

function sendFile(files, path, request, response) {
  const file = fileFor(files, path);
  const found = file ?? join(files, "404.html");
  const immutable = path.startsWith("/_next/static/");
  const zipped = /gzip/.test(request.headers["accept-encoding"] ?? "") && !found.endsWith(".woff2");
  response.writeHead(file ? 200 : 404, {
    "content-type": TYPES[extname(found)] ?? "application/octet-stream",
    "cache-control": immutable ? "public, max-age=31536000, immutable" : "no-cache",
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    ...(zipped ? { "content-encoding": "gzip", vary: "accept-encoding" } : {}),
  });
  const stream = createReadStream(found);
  if (zipped) stream.pipe(createGzip()).pipe(response);
  else stream.pipe(response);
}

function forward(api, request, response) {
  const upstream = http.request(
    {
      host: api.hostname,
      port: api.port,
      path: request.url,
      method: request.method,
      headers: { ...request.headers, host: api.host },
    },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  upstream.on("error", () => {
    if (!response.headersSent) response.writeHead(502, { "content-type": "text/plain" });
    response.end();
  });
  response.on("close", () => upstream.destroy());
  request.pipe(upstream);
}

function forwardSocket(api, request, socket, head) {
  const upstream = net.connect(Number(api.port), api.hostname, () => {
    const headers = Object.entries({ ...request.headers, host: api.host })
      .map(([name, value]) => `${name}: ${value}`)
      .join("\r\n");
    upstream.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers}\r\n\r\n`);
    upstream.write(head);
    socket.pipe(upstream).pipe(socket);
  });
  const close = () => {
    socket.destroy();
    upstream.destroy();
  };
  upstream.on("error", close);
  socket.on("error", close);
  socket.on("close", close);
  upstream.on("close", close);
}

/** Serves until closed; `port` 0 picks a free one. */
export function serve({ api, port, files }) {
  const target = new URL(api);
  const server = http.createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    if (API.test(path)) forward(target, request, response);
    else sendFile(files, path, request, response);
  });
  server.on("upgrade", (request, socket, head) => forwardSocket(target, request, socket, head));
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

if (import.meta.filename === process.argv[1]) {
  const option = (name, fallback) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? fallback : process.argv[at + 1];
  };
  const server = await serve({
    api: option("api", "http://127.0.0.1:8000"),
    port: Number(option("listen", "8080")),
    files: join(process.cwd(), option("files", "out")),
  });
  console.log(`http://127.0.0.1:${server.address().port}`);
}
