"""Doors that stand open: protected routes, and those of developers (AUT-001, CFG-009)."""

from specimen.defects.plants import Defect, Plant, Where, at, header, served, status

OPEN = {"AUT-001": "AnonymousServed"}
DEBUG = {
    "env": ("/.env", "MODE=production\n", "text/plain"),
    "git": ("/.git/HEAD", "ref: refs/heads/main\n", "text/plain"),
    "actuator": ("/actuator/env", '{"activeProfiles": []}', "application/json"),
    "pprof": ("/debug/pprof/", "<html><body>profiles: heap, goroutine</body></html>", "text/html"),
    "server-status": ("/server-status", "<html><body>Server uptime</body></html>", "text/html"),
    "phpinfo": ("/phpinfo.php", "<html><body>Configuration</body></html>", "text/html"),
    "vite": ("/@vite/client", "export const hot = true;", "text/javascript"),
    "nuxt": ("/__nuxt_devtools__/client/", "<html><body>devtools</body></html>", "text/html"),
}


def orders_with(word: str, scheme: str = "") -> Where:
    """Requests for the orders that carry a header, or one with that scheme."""
    return lambda request, _: (
        request.path == "/api/orders"
        and (request.headers.get(word, "").lower().startswith(scheme) and word in request.headers)
    )


def served_orders() -> Plant:
    return served('{"orders": []}', "application/json")


DEFECTS = (
    Defect("AUT-001/open", "no answer without credentials", OPEN, at("/api/orders", served_orders())),
    Defect("AUT-001/any-bearer", "nor with an invalid token", OPEN, at(orders_with("authorization", "bearer"), served_orders())),
    Defect("AUT-001/any-basic", "nor with an unknown identity of another scheme", OPEN, at(orders_with("authorization", "basic"), served_orders())),
    Defect("AUT-001/any-cookie", "nor with an invalid session", OPEN, at(orders_with("cookie"), served_orders())),
    Defect("AUT-001/crashes", "an invalid token does not crash it", {"AUT-001": "RefusalCrashes"},
           at(orders_with("authorization"), status(500), header("WWW-Authenticate"))),
    *(Defect(f"CFG-009/{name}", f"{path} is closed", {"CFG-009": "DebugOpen"}, at(path, served(text, kind)))
      for name, (path, text, kind) in DEBUG.items()),
)  # fmt: skip
