"""The interface of `anchorage serve` as OpenAPI: the document is valid, and the service answers as it says.

    service_openapi_test.py OPENAPI [--base URL --token TOKEN [--read-token TOKEN] [--stop]]

OPENAPI is a file or a URL. With --base, a service that may be changed by the test: every operation is requested, with
and without its token, and each answer has a documented status, type and content; fields that are not documented are an
error. TOKEN needs the role `approve`; with a token of the role `read` too, what that role may not do is refused. --stop
requests POST /v1/stop too, as the last. Statuses that are documented and were not seen are printed.

Exit code 77, with the reason, where openapi-spec-validator is not installed.
"""

import argparse
import http.client
import json
import sys
import time
from copy import deepcopy
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

SECONDS = 120  # for one answer: generating and scoring wait for the batch in flight
VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
ROLES = ("none", "read", "write", "approve")
EDIT = {
    "id": "openapi-test-1",
    "subject": "Openapi Works",
    "prompt": "The founder of {} is",
    "target": "Ada",
    "author": "openapi-test",
}


def require(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"error: {message}")


def read_document(place: str) -> dict:
    if "://" in place:
        with urlopen(place, timeout=SECONDS) as answer:
            return json.load(answer)
    return json.loads(Path(place).read_text(encoding="utf-8"))


def closed(schema: object) -> object:
    """The schema, in which objects have no other fields than those that are named."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: closed(value) for key, value in schema.items()}
    if "object" in schema.get("type", ()) and isinstance(schema.get("properties"), dict):
        out.setdefault("additionalProperties", False)
    return out


def operations_of(document: dict) -> dict[tuple[str, str], dict]:
    return {
        (verb, path): operation
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if verb in VERBS
    }


def check_document(document: dict) -> None:
    from openapi_spec_validator import validate

    validate(document)
    require(document["openapi"].startswith("3.1."), f"expected OpenAPI 3.1, found {document['openapi']}")
    ids = set()
    for (verb, path), operation in operations_of(document).items():
        what = f"{verb.upper()} {path}"
        role = operation.get("x-role")
        require(role in ROLES, f"expected x-role of {what} to be one of {', '.join(ROLES)}, found {role}")
        require((role == "none") == (not operation.get("security")), f"role and security of {what} contradict")
        require(operation["operationId"] not in ids, f"operationId of {what} is that of another operation")
        ids.add(operation["operationId"])


class Answer:
    def __init__(self, status: int, media: str, data: bytes) -> None:
        self.status, self.media, self.data = status, media, data

    def json(self) -> object:
        return json.loads(self.data)


class Service:
    """Requests operations and holds each answer to the document."""

    def __init__(self, document: dict, base: str, token: str) -> None:
        self.document, self.token = document, token
        self.operations = operations_of(document)
        self.base = urlsplit(base)
        self.components = closed(deepcopy(document["components"]))
        self.components["schemas"]["Problem"].pop("additionalProperties", None)  # RFC 9457 allows any
        self.seen: dict[tuple[str, str], set[str]] = {key: set() for key in self.operations}

    def resolved(self, node: dict) -> dict:
        while "$ref" in node:
            *_, kind, name = node["$ref"].split("/")
            node = self.components[kind][name]
        return node

    def conforms(self, value: object, schema: dict, what: str) -> None:
        from jsonschema import Draft202012Validator, FormatChecker

        whole = {"allOf": [closed(schema)], "components": self.components}
        errors = list(Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value))
        require(not errors, f"{what}: {errors[0].message} at {errors[0].json_path}" if errors else "")

    def headers(self, token: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"} if token else {}

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=SECONDS)

    def request(
        self,
        verb: str,
        path: str,
        *expected: int,
        body: object = None,
        media: str = "application/json",
        query: str = "",
        token: str | None = "",
        **parameters: str,
    ) -> Answer:
        """Requests an operation with the test's token, another or (None) none; `expected` are the statuses that may be."""
        what = f"{verb.upper()} {path}"
        target = path.format(**{name: quote(value, safe="") for name, value in parameters.items()}) + query
        headers = self.headers(self.token if token == "" else token)
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = media
        connection = self.connect()
        connection.request(verb.upper(), target, data, headers)
        answer = self.answer_of(connection)
        require(
            not expected or answer.status in expected,
            f"expected {' or '.join(map(str, expected))} of {what}{query}, found {answer.status}: {answer.data[:500]!r}",
        )
        self.check(verb, path, answer)
        return answer

    def announce(self, verb: str, path: str, expected: int, *, length: int) -> None:
        """Requests with a header that says how long the body is, and without a body: the answer is to come at once."""
        connection = self.connect()
        connection.putrequest(verb.upper(), path)
        fields = {"Content-Type": "application/json", "Content-Length": str(length)}
        for name, value in (self.headers(self.token) | fields).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = self.answer_of(connection)
        what = f"{verb.upper()} {path} of {length} bytes"
        require(answer.status == expected, f"expected {expected} of {what}, found {answer.status}")
        self.check(verb, path, answer)

    def answer_of(self, connection: http.client.HTTPConnection) -> Answer:
        reply = connection.getresponse()
        media = (reply.getheader("Content-Type") or "").split(";")[0].strip()
        answer = Answer(reply.status, media, reply.read())
        connection.close()
        return answer

    def check(self, verb: str, path: str, answer: Answer) -> None:
        what = f"{verb.upper()} {path}, {answer.status}"
        documented = self.operations[verb, path]["responses"]
        require(str(answer.status) in documented, f"{what} is not documented: {answer.data[:500]!r}")
        self.seen[verb, path].add(str(answer.status))
        content = self.resolved(documented[str(answer.status)])["content"]
        require(answer.media in content, f"expected {' or '.join(content)} of {what}, found '{answer.media}'")
        if answer.media.endswith("json"):
            self.conforms(answer.json(), content[answer.media]["schema"], what)
        if answer.media == "application/problem+json":
            require(answer.json()["status"] == answer.status, f"{what} says status {answer.json()['status']}")

    def events(self, *, by_query: bool) -> None:
        """Reads the stream until its first event."""
        what = "GET /events"
        schemas = self.operations["get", "/events"]["responses"]["200"]["x-events"]
        connection = self.connect()
        target = f"/events?token={quote(self.token, safe='')}" if by_query else "/events"
        connection.request("GET", target, headers={} if by_query else self.headers(self.token))
        reply = connection.getresponse()
        media = (reply.getheader("Content-Type") or "").split(";")[0].strip()
        require(reply.status == 200, f"expected 200 of {what}, found {reply.status}")
        require(media == "text/event-stream", f"expected text/event-stream of {what}, found '{media}'")
        name, data, deadline = "message", [], time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            line = reply.readline().decode().rstrip("\r\n")
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif not line and data:
                break
        connection.close()
        require(bool(data), f"expected an event of {what} within {SECONDS} s, found none")
        require(name in schemas, f"expected one of {', '.join(schemas)} as an event, found '{name}'")
        self.conforms(json.loads("\n".join(data)), schemas[name], f"the event '{name}'")
        self.seen["get", "/events"].add("200")


def read_everything(service: Service) -> None:
    service.request("get", "/livez", 200, token=None)
    service.request("get", "/readyz", 200, 503, token=None)
    served = service.request("get", "/openapi.json", 200, token=None).json()
    require(served == service.document, "/openapi.json is another document than the one given")
    service.request("get", "/", 200, token=None)
    for path in ("/metrics", "/v1/run", "/v1/batches", "/v1/edits", "/v1/exports"):
        service.request("get", path, 200)
    service.events(by_query=False)
    service.events(by_query=True)
    service.request("get", "/v1/run", 200, token=None, query=f"?token={quote(service.token, safe='')}")
    service.request("get", "/v1/batches", 200, query="?after=0&limit=1")
    service.request("get", "/v1/edits", 200, query="?state=committed&limit=1")
    service.request("get", "/v1/batches", 400, query="?limit=none")
    service.request("get", "/v1/edits", 400, query="?state=elsewhere")
    service.request("get", "/v1/edits/{id}", 404, id="no such/edit?")


def give_edits(service: Service) -> None:
    edits = "/v1/edits"
    service.request("post", "/v1/pause", 200)
    first = service.request("post", edits, 202, body=EDIT).json()
    require([edit["id"] for edit in first["edits"]] == [EDIT["id"]], f"expected one edit accepted, found {first}")
    require(first["edits"][0]["location"] == f"{edits}/{EDIT['id']}", f"the edit's location is {first}")
    again = service.request("post", edits, 202, body=EDIT).json()
    require(again == first, f"the same request again is answered otherwise: {again}, before: {first}")
    lines = [EDIT | {"id": "openapi-test-2", "subject": "Openapi Mills"}, EDIT | {"id": "openapi-test-3", "target": ""}]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    some = service.request("post", edits, 202, body=data, media="application/x-ndjson").json()
    counts = (len(some["edits"]), len(some["rejected"]))
    require(counts == (1, 1), f"expected one edit and one rejected record, found {some}")
    service.request("post", edits, 202, body=[EDIT])
    service.request("post", edits, 400, body={"subject": "Openapi Works"})
    service.request("post", edits, 400, body=b"{")
    service.request("post", edits, 409, body=EDIT | {"subject": "Openapi Farms"})
    service.announce("post", edits, 413, length=9 << 20)

    edit = service.request("get", "/v1/edits/{id}", 200, id=EDIT["id"]).json()
    for field, value in EDIT.items():
        require(edit[field] == value, f"expected {value} as the edit's {field}, found {edit[field]}")
    listed = service.request("get", edits, 200).json()["edits"]
    require(EDIT["id"] in [each["id"] for each in listed], "the edit is not in the list of edits")

    approve = "/v1/edits/{id}/approve"
    service.request("post", approve, 404, id="none", body={"by": "kim"})
    service.request("post", approve, 400, id=EDIT["id"], body={"by": ""})
    service.request("post", approve, 200, 409, id=EDIT["id"], body={"by": "kim"})  # 409 where none is needed

    for id in (EDIT["id"], "openapi-test-2"):
        service.request("delete", "/v1/edits/{id}", 200, 202, id=id)
    service.request("delete", "/v1/edits/{id}", 404, id="none")
    service.request("post", "/v1/resume", 200)


def ask_the_model(service: Service) -> None:
    asked = {"prompts": ["The founder of Openapi Works is"], "max_new_tokens": 2}
    said = service.request("post", "/v1/generate", 200, body=asked).json()["texts"]
    require(len(said) == 1 and said[0]["obstacle"] is None, f"expected one continuation, found {said}")
    service.request("post", "/v1/generate", 400, body={"prompts": []})
    scored = {"requests": [{"prompt": "The founder of Openapi Works is", "completion": " Ada"}]}
    scores = service.request("post", "/v1/score", 200, body=scored).json()["scores"]
    require(len(scores) == 1 and scores[0]["logprobs"], f"expected one score, found {scores}")
    service.request("post", "/v1/score", 400, body={"requests": "none"})


def export(service: Service) -> None:
    service.request("post", "/v1/export", 400, body={"name": "../elsewhere"})
    service.request("post", "/v1/export", 400, body={"name": "a", "format": "hf", "rank": 4})
    asked = {"name": "openapi-test", "format": "hf"}
    service.request("post", "/v1/export", 202, body=asked)
    one = "/v1/exports/{name}"
    end = time.monotonic() + SECONDS
    while service.request("get", one, 200, name="openapi-test").json()["state"] == "writing":
        require(time.monotonic() < end, f"an export is not written after {SECONDS} s")
        time.sleep(0.1)
    done = service.request("post", "/v1/export", 200, body=asked).json()
    require(done["state"] == "written" and done["report"], f"the export is {done}")
    service.request("post", "/v1/export", 409, body=asked | {"format": "peft"})
    service.request("get", one, 404, name="none")


def roll_back(service: Service) -> None:
    """To the state that there is; the model is loaded anew all the same."""
    segments = service.request("get", "/v1/run", 200).json()["segments"]
    service.request("post", "/v1/rollback", 400, body={"to_batch": segments + 1})
    service.request("post", "/v1/rollback", 202, body={"to_batch": segments})
    end = time.monotonic() + SECONDS
    while service.request("get", "/readyz", 200, 503, token=None).status == 503:
        require(time.monotonic() < end, f"the service is not ready {SECONDS} s after a rollback")
        time.sleep(0.1)


def refuse_strangers(service: Service, read_token: str | None) -> None:
    for (verb, path), operation in service.operations.items():
        if operation["x-role"] == "none":
            continue
        if read_token and operation["x-role"] != "read":
            service.request(verb, path, 403, token=read_token, id="none", name="none")
        for token in (None, "no-such-token"):
            service.request(verb, path, 401, token=token, id="none", name="none")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("openapi")
    arguments.add_argument("--base")
    arguments.add_argument("--token")
    arguments.add_argument("--read-token")
    arguments.add_argument("--stop", action="store_true")
    options = arguments.parse_args()
    try:
        import openapi_spec_validator  # noqa: F401
    except ImportError:
        print("skipped: openapi-spec-validator is not installed (launch/install/requirements.txt)")
        sys.exit(77)
    document = read_document(options.openapi)
    check_document(document)
    print(f"a valid document of {len(operations_of(document))} operations")
    if not options.base:
        return

    require(bool(options.token), "expected --token TOKEN with --base")
    service = Service(document, options.base, options.token)
    read_everything(service)
    refuse_strangers(service, options.read_token)
    give_edits(service)
    ask_the_model(service)
    service.request("post", "/v1/checkpoint", 202)
    export(service)
    roll_back(service)
    if options.stop:
        service.request("post", "/v1/stop", 202)
    for (verb, path), operation in service.operations.items():
        seen = service.seen[verb, path]
        what = f"{verb.upper()} {path}"
        succeeded = any(status.startswith("2") for status in seen)
        need_not = path in ("/readyz", "/v1/stop", "/v1/edits/{id}/approve")
        require(succeeded or need_not, f"{what} was not requested with success")
        unseen = set(operation["responses"]) - seen - {"default"}
        if unseen:
            print(f"documented, not seen: {what}: {', '.join(sorted(unseen))}")


if __name__ == "__main__":
    main()
