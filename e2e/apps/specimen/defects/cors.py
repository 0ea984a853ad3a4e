"""Origins that are let in, or kept out, wrongly (COR-001, COR-003)."""

from collections.abc import Callable

from specimen.defects.plants import Defect, Memory, Plant, at, header, status
from specimen.http import Request, Response

ALLOWED = "https://shop.example.com"
GRANT, CREDENTIALS = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"
OPEN, BOTH = (
    {"COR-001": "OriginNotRestricted"},
    {"COR-001": "OriginNotRestricted", "COR-003": "CredentialsForAnyOrigin"},
)


def api(request: Request, response: Response) -> bool:
    return request.path.startswith("/api/")


def preflight(request: Request, response: Response) -> bool:
    return api(request, response) and request.method == "OPTIONS"


def lets_in(accepts: Callable[[str], bool], *, credentials: bool = False) -> Plant:
    """A sloppy comparison: further origins are echoed, with credentials or without."""

    def plant(request: Request, response: Response, memory: Memory) -> Response:
        origin = request.headers.get("origin", "")
        if not origin or origin == ALLOWED or not accepts(origin):
            return response
        response = header(GRANT, origin)(request, response, memory)
        return header(CREDENTIALS, "true")(request, response, memory) if credentials else response

    return at(api, plant)


DEFECTS = (
    Defect("COR-001/wildcard", "only listed origins are allowed", OPEN, at(api, header(GRANT, "*"), header(CREDENTIALS))),
    Defect("COR-001/reflected", "only listed origins are allowed", OPEN, lets_in(lambda origin: True)),
    Defect("COR-001/reflected-in-preflight", "nor in preflights", OPEN, at(preflight, lets_in(lambda origin: True))),
    Defect("COR-001/null", "`null` is not allowed", OPEN, lets_in(lambda origin: origin == "null")),
    Defect("COR-001/prefix", "origins are compared to their end", OPEN, lets_in(lambda origin: origin.startswith(ALLOWED))),
    Defect("COR-001/suffix", "origins are compared from their start", OPEN, lets_in(lambda origin: origin.endswith("shop.example.com") and "://sub." not in origin and origin[:5] == "https")),
    Defect("COR-001/subdomain", "subdomains are not allowed", OPEN, lets_in(lambda origin: origin.endswith(".shop.example.com"))),
    Defect("COR-001/scheme", "the scheme counts", OPEN, lets_in(lambda origin: origin == "http://shop.example.com")),
    Defect("COR-001/refused", "listed origins are allowed", {"COR-001": "AllowedOriginRefused"}, at(api, header(GRANT))),
    Defect("COR-001/preflight-refused", "preflights of listed origins succeed", {"COR-001": "AllowedOriginRefused"}, at(preflight, status(405))),
    Defect("COR-001/credentials-refused", "credentials are allowed, where declared", {"COR-001": "CredentialsRefused"}, at(api, header(CREDENTIALS)),
           declares={"cors": {"credentials": True}}),
    Defect("COR-001/no-vary", "answers that depend on Origin carry Vary", {"COR-001": "VaryMissing"}, at(api, header("Vary"))),
    Defect("COR-003/wildcard", "no credentials with *", BOTH, at(api, header(GRANT, "*"), header(CREDENTIALS, "true"))),
    Defect("COR-003/null", "no credentials with null", BOTH, lets_in(lambda origin: origin == "null", credentials=True)),
    Defect("COR-003/reflected", "no credentials with a reflected origin", BOTH, lets_in(lambda origin: True, credentials=True)),
)  # fmt: skip
