// The same application, built differently: Node's own HTTP server. It takes no defects; it proves that the operator
// does not mistake another way of doing things right for a mistake.
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { readFileSync } from "node:fs";
import { randomBytes, randomUUID } from "node:crypto";
import { connect } from "node:net";
import process from "node:process";

const env = process.env;
const log = (level, message, fields = {}) =>
  console.log(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }));
const port = Number(env.PORT ?? 8080);
const tlsPort = Number(env.TLS_PORT ?? 0);
const maxBody = 1024 * 1024;
const drain = Number((env.DRAIN ?? "15").replace(/s$/, ""));
const origins = new Set((env.CORS_ORIGINS ?? "https://shop.example.com").split(",").map((text) => text.trim()));
if (![port, tlsPort, drain].every(Number.isFinite)) {
  log("error", "cannot start: PORT, TLS_PORT and DRAIN must be numbers");
  process.exit(2);
}

const counts = new Map();
const count = (status) => counts.set(status, (counts.get(status) ?? 0) + 1);
const exposition = () =>
  ["# HELP shop_requests Requests answered.", "# TYPE shop_requests counter",
    ...[...counts].map(([status, n]) => `shop_requests_total{status="${status}"} ${n}`), "# EOF", ""].join("\n");

const document = (title) => {
  const nonce = randomBytes(16).toString("base64");
  return {
    status: 200,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        `frame-ancestors 'none'; default-src 'self'; base-uri 'self'; object-src 'none'; form-action 'self'; script-src 'nonce-${nonce}' 'self'`,
    },
    body: `<!doctype html><title>${title}</title><script nonce="${nonce}">document.title += "!"</script><p>${title}`,
  };
};
const json = (status, value, headers = {}) => ({
  status, headers: { "content-type": "application/json; charset=utf-8", ...headers }, body: JSON.stringify(value),
});
const noStore = { "cache-control": "private, no-store" };
const refused = () => json(401, { error: "unauthorized" }, { ...noStore, "www-authenticate": "Bearer" });

// Dependencies: fetch keeps its connections; each attempt has a timeout, only what failed at once is repeated, with full
// gaps that double and vary, and a POST carries one key.
const upstreams = Object.fromEntries(["llm", "pay"].flatMap((name) => {
  const url = env[`${name.toUpperCase()}_URL`];
  return url ? [[name, url]] : [];
}));
const calls = { "/ask": ["GET", "llm"], "/pay": ["POST", "pay"] };
const again = new Set([429, 502, 503]);
const reason = (error) => (error.name === "TimeoutError" ? 504 : 502);
const call = async (method, url) => {
  const headers = method === "POST" ? { "idempotency-key": randomUUID() } : {};
  let status = 502;
  for (let attempt = 0; attempt < 4; attempt++) {
    if (attempt) await new Promise((done) => setTimeout(done, 500 * 2 ** attempt * (0.8 + 0.4 * Math.random())));
    try {
      const answer = await fetch(url, { method, headers, signal: AbortSignal.timeout(5000) });
      await answer.arrayBuffer();
      status = answer.status;
    } catch (error) { status = reason(error); }
    if (!again.has(status) || status === 504) return status;
  }
  return status;
};
const ping = (host, port) => new Promise((done) => {
  const line = connect({ host, port }, () => line.write("PING\r\n"));
  const end = (up) => { line.destroy(); done(up); };
  line.setTimeout(1000, () => end(false)).on("data", () => end(true)).on("error", () => end(false)).on("close", () => done(false));
});
const stores = () => Promise.all((env.DEPENDENCIES ?? "orders,cache").split(",").map(async (text) => {
  const [name, address] = text.split("=");
  const [host, port] = (address ?? "").split(":");
  return [name, !address || (await ping(host, Number(port)))];
}));
const states = async () => Promise.all([
  ...(await stores()),
  ...Object.entries(upstreams).map(async ([name, url]) =>
    [name, await fetch(url, { signal: AbortSignal.timeout(1000) }).then((a) => a.status < 500, () => false)]),
]);
const health = async (url) => {
  const now = { STATUS: "UP", Timestamp: Date.now(), Uptime: process.uptime() };
  if (!url.searchParams.has("deep")) return json(200, now, noStore);
  const found = await states();
  const up = found.every(([, well]) => well);
  const components = found.map(([name, well]) => ({ name, status: well ? "UP" : "DOWN" }));
  return json(up ? 200 : 503, { ...now, STATUS: up ? "UP" : "DOWN", components }, noStore);
};

const routes = {
  "/": () => document("Shop"),
  "/page": () => document("A page"),
  "/login": () => { const page = document("Log in"); Object.assign(page.headers, noStore); return page; },
  "/health": health,
  "/api/catalog": () => json(200, { items: ["apples"] }),
  "/api/orders": refused,
  "/api/session": refused,
};

const answer = async (request, url, secure) => {
  const [method, name] = calls[url.pathname] ?? [];
  if (name in upstreams && request.method === method) {
    const status = await call(method, upstreams[name]);
    return json(status, { upstream: name, status }, noStore);
  }
  if (request.method === "OPTIONS" && url.pathname.startsWith("/api/")) return { status: 204, headers: {}, body: "" };
  if (url.pathname === "/notes" && request.method === "POST") {
    return (await stores()).every(([, well]) => well) ? json(201, {}) : json(503, { error: "not kept" }, { "retry-after": "5" });
  }
  if (!["GET", "HEAD"].includes(request.method)) return json(405, { error: "method not allowed" }, { allow: "GET, HEAD" });
  if (url.pathname === "/metrics" && !secure) {
    return { status: 200, headers: { "content-type": "application/openmetrics-text; version=1.0.0; charset=utf-8" }, body: exposition() };
  }
  const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
  if (route) return route(url);
  const html = (request.headers.accept ?? "").includes("text/html");
  return html ? { ...document("Not found"), status: 404 } : json(404, { error: "not found" });
};

const cors = (request) => {
  const origin = request.headers.origin;
  if (!origins.has(origin)) return { vary: "Accept-Encoding, Origin" };
  return {
    vary: "Accept-Encoding, Origin", "access-control-allow-origin": origin, "access-control-allow-credentials": "true",
    ...(request.method === "OPTIONS" ? { "access-control-allow-methods": "GET,HEAD", "access-control-max-age": "600" } : {}),
  };
};

const slow = (url, response) => {
  let left = Math.min(Number(url.searchParams.get("seconds") ?? 1) || 0, 60);
  response.writeHead(200, { "content-type": "text/plain", "cache-control": "no-store" });
  response.write("started\n");
  const tick = () => (left-- > 0 ? (response.write(".\n"), setTimeout(tick, 1000)) : response.end("done\n"));
  setTimeout(tick, 1000);
};

// What anyone may tell, as a JSON object. An announced body is refused unread, any other as soon as it is too large.
const feedback = (request, done) => {
  const parts = [];
  let size = 0;
  const refuse = () => {
    parts.length = 0;
    request.removeAllListeners("data").removeAllListeners("end").pause();
    done(json(413, { error: "too large" }, { connection: "close" }));
  };
  if (Number(request.headers["content-length"] ?? 0) > maxBody) return refuse();
  request.on("data", (part) => { parts.push(part); if ((size += part.length) > maxBody) refuse(); });
  request.on("end", () => {
    try {
      done(json(Object.prototype.toString.call(JSON.parse(Buffer.concat(parts))) === "[object Object]" ? 202 : 400, {}));
    } catch {
      done(json(400, { error: "not a JSON object" }));
    }
  });
};

const listener = (secure) => async (request, response) => {
  const url = new URL(request.url, "http://shop");
  if (url.pathname === "/slow") return slow(url, response);
  const send = (answered) => respond(request, response, url, secure, answered);
  if (url.pathname === "/api/feedback" && request.method === "POST") return feedback(request, send);
  return send(await answer(request, url, secure));
};

const respond = (request, response, url, secure, { status, headers, body }) => {
  count(status);
  response.writeHead(status, {
    ...headers,
    "content-length": Buffer.byteLength(body),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer, same-origin",
    "cross-origin-opener-policy": "same-origin",
    ...(secure ? { "strict-transport-security": "max-age=63072000; includeSubDomains; preload" } : {}),
    ...(url.pathname.startsWith("/api/") ? cors(request) : {}),
  });
  response.end(status === 204 || request.method === "HEAD" ? undefined : body);
};

const servers = [createServer(listener(false)).listen(port)];
if (tlsPort) {
  const keys = { cert: readFileSync(env.TLS_CERT), key: readFileSync(env.TLS_KEY) };
  servers.push(createSecureServer(keys, listener(true)).listen(tlsPort));
}
log("info", "listening", { port, tlsPort });
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    log("info", "draining", { seconds: drain });
    let open = servers.length;
    for (const server of servers) {
      server.close(() => { if (--open === 0) { log("info", "stopped"); process.exit(0); } });
      server.closeIdleConnections();
    }
    setTimeout(() => { log("warn", "stopped with requests under way"); process.exit(0); }, drain * 1000).unref();
  });
}
