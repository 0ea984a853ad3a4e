// The smallest Node server with a slow answer. Its argument is what SIGTERM does: none, exit, close or lameduck.
import { createServer } from "node:http";

const half = "x".repeat(511) + "\n";
const server = createServer((request, response) => {
  const url = new URL(request.url, "http://here");
  response.writeHead(200, { "Content-Type": "text/plain", "Content-Length": 2 * half.length });
  response.write(half);
  const seconds = url.pathname === "/slow" ? Number(url.searchParams.get("seconds")) : 0;
  setTimeout(() => response.end(half), 1000 * seconds);
});
const close = () => server.close();
const handlers = {
  exit: () => process.exit(0),
  close,
  lameduck: () => setTimeout(close, 5000),
};
const handler = handlers[process.argv[2]];
if (handler) process.on("SIGTERM", handler);
server.listen(8080);
