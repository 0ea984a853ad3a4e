// A single-page application on Node's http server: its shell answers every path that is no route of the API.
import { createServer } from "node:http";

const shell = "<!doctype html><html><head><title>Shop</title></head><body><div id=app></div><script src=/app.js></script></body></html>";
const json = (response, status, value, headers = {}) =>
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(value));

createServer((request, response) => {
  const url = new URL(request.url, "http://shop");
  if (url.pathname === "/health") {
    return json(response, 200, { status: "UP", timestamp: new Date(Date.now() - 5 * 3600e3).toISOString(), uptime: process.uptime() });
  }
  if (url.pathname === "/api/orders") return json(response, 200, { orders: [{ id: 1 }] });
  if (url.pathname === "/api/session") return json(response, 200, { user: null }, { "Cache-Control": "no-cache" });
  if (url.pathname === "/metrics") {
    return response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4" })
      .end(`process_uptime_seconds ${process.uptime()}\n`);
  }
  response.writeHead(200, {
    "Content-Type": "text/html", "X-Powered-By": "Express",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
  }).end(shell);
}).listen(8080);
