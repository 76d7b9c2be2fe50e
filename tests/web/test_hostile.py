"""What strangers send: each gets a clear 4xx quickly, touches nothing of the machine, and the server goes on answering."""

from __future__ import annotations

import itertools
import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from conftest import ROOT
from server_process import ServerProcess

API = "/api/v1/plan"
SECRET = "secret-of-this-machine"
_asked = itertools.count(1000)
QUICKLY_S = 15.0  # bounds of the server are 10 s; nothing here may take its time limit of 20 s

_LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}


@pytest.fixture(autouse=True)
def still_answers(server: str) -> Iterator[None]:
    """After each of these."""
    yield
    begun = time.monotonic()
    found = httpx.get(f"{server}{API}.txt", params={"model": "qwen3-8b", "gpus": "h200", "users": next(_asked)}, timeout=60)
    assert found.status_code == 200
    assert time.monotonic() - begun < QUICKLY_S


def problem_of(response: httpx.Response, status: int | None = None) -> dict[str, object]:
    """The problem that a refusal must be."""
    assert 400 <= response.status_code < 500, response.text[:500]
    assert status in (None, response.status_code), response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, object] = response.json()
    assert found["status"] == response.status_code
    assert found["code"] != "defect"
    return found


def place(server: str) -> tuple[str, int]:
    parts = urlsplit(server)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def raw(server: str, sent: bytes, *, wait_s: float = QUICKLY_S) -> bytes:
    """What comes back on a connection of its own until the server closes it."""
    with socket.create_connection(place(server), timeout=wait_s) as client:
        client.sendall(sent)
        return read_to_end(client)


def read_to_end(client: socket.socket) -> bytes:
    found = b""
    try:
        while chunk := client.recv(1 << 16):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def get(server: str, **query: object) -> httpx.Response:
    return httpx.get(server + API, params={name: str(value) for name, value in query.items()}, timeout=60)


def post(server: str, content: bytes | object, path: str = API) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.post(server + path, content=body, headers={"Content-Type": "application/json"}, timeout=60)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "%{x}", "\u202egpt"])
@pytest.mark.parametrize("path", ["/", "/answer", "/models/"])
def test_markup_in_a_name_stays_text(server: str, name: str, path: str) -> None:
    address = server + path + (quote(name, safe="") if path.endswith("s/") else "?model=" + quote(name))
    found = httpx.get(address, headers={"Accept": "text/html"}, timeout=60)
    assert 400 <= found.status_code < 500 or path == "/answer"  # a part of a page says what is wrong and is swapped in as any other
    assert found.headers["content-type"].startswith("text/html")
    assert "<script>alert" not in found.text
    assert "<img src=x" not in found.text
    assert "there is no model &#34;49" not in found.text


def test_names_are_not_looked_up_on_this_machine(server: str, server_process: ServerProcess, tmp_path: Path) -> None:
    """Folders and files that a name would mean on the command line, in the folder of the server and elsewhere."""
    inside = server_process.folder / "tempting-model"
    for folder in (inside, tmp_path / "tempting-model"):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**_LLAMA, "_name_or_path": SECRET}))
    (server_process.folder / "qwen3-8b").mkdir()  # a name of the catalogue
    (server_process.folder / "qwen3-8b" / "config.json").write_text("no JSON")
    (tmp_path / "card.toml").write_text(f'name = "{SECRET}"\nmemory = "48GB"\nbandwidth = "864GB/s"\n')
    names = [
        "tempting-model",
        "./tempting-model",
        str(tmp_path / "tempting-model"),
        str(tmp_path / "tempting-model/config.json"),
        f"file://{tmp_path}",
    ]
    names += [
        str(tmp_path / "tempting-model").lstrip("/"),
        "tempting-model/config.json",
        "/etc/passwd",
        "etc/passwd",
        "../../etc/passwd",
        "/dev/zero",
        "-",
    ]
    for name in names:
        assert SECRET not in json.dumps(problem_of(get(server, model=name, users=5))), name
        assert SECRET not in json.dumps(problem_of(post(server, {"model": name, "users": 5}))), name
        assert SECRET not in json.dumps(problem_of(get(server, model="qwen3-8b", users=5, with_models=name))), name
    for card in (str(tmp_path / "card.toml"), "card.toml", "/dev/stdin", "CARD.TOML"):
        problem_of(get(server, model="qwen3-8b", gpus=card))
    assert get(server, model="qwen3-8b", gpus="h200", users=3).json()["model"]["id"] == "qwen3-8b"


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "etc/passwd",
        "%00",
        "a%00.json",
        ".json",
        "..",
        ".",
    ],
)
@pytest.mark.parametrize("folder", ["/models/", "/api/v1/models/", "/api/v1/accelerators/", "/api/v1/formulas/", "/api/v1/engines/", "/static/"])
def test_ids_are_no_paths(server: str, folder: str, name: str) -> None:
    found = raw(server, f"GET {folder}{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    assert re.match(rb"HTTP/1\.1 4\d\d ", found), found[:300]
    assert b"root:" not in found
    assert b'"defect"' not in found


@pytest.mark.parametrize(
    "query",
    [
        {"model": "https://evil.example/config.json"},
        {"model": "http://127.0.0.1:1/config.json"},
        {"model": "file:///etc/passwd"},
        {"model": "qwen3-8b", "hub": "huggingface"},
        {"model": "nobody/nothing", "hub": "modelscope"},
        {"model": "qwen3-8b", "trace": "/etc/passwd"},
        {"model": "qwen3-8b", "prices": "/etc/passwd"},
        {"model": "qwen3-8b", "gpus": "/etc/passwd.toml"},
        {"model": "qwen3-8b\0"},
        {"model": "x" * 9000},
        {"model": "qwen3-8b", "users": "9" * 5000},
        {"model": "qwen3-8b", "users": "1e400"},
        {"model": "qwen3-8b", "users": "-1"},
        {"model": "qwen3-8b", "context_tokens": "9" * 39},
        {"model": "qwen3-8b", "active_share": "1e-400"},
        {"model": "qwen3-8b", "ttft_s": "inf"},
        {"model": "qwen3-8b", "ttft_s": "2"},
        {"model": "qwen3-8b", "request_rate": "nan"},
        {"model": "qwen3-8b", "engine": ",".join(f"vllm{number}" for number in range(50))},
        {"model": "qwen3-8b", "gpus": "48GB,864GB/s," * 2000},
        {"model": "qwen3-8b", "with_models": "bge-m3," * 1000},
        {"model": "qwen3-8b", "with_models": "/etc/passwd"},
        {"model": "qwen3-8b", "spare": "-1"},
        {"model": "qwen3-8b", "lang": "xx"},
        {"model": "qwen3-8b", "self": "1"},
        {"model": "qwen3-8b", "__class__": "1"},
        {"config": "{" * 2000},
        {"config": "null"},
        {"top": "3"},
    ],
    ids=lambda query: "&".join(query)[:40],
)
def test_queries_that_ask_for_too_much(server: str, query: dict[str, str]) -> None:
    begun = time.monotonic()
    problem_of(httpx.get(server + API, params=query, timeout=60))
    assert time.monotonic() - begun < QUICKLY_S


def test_a_name_that_stands_twice_is_refused(server: str) -> None:
    assert problem_of(httpx.get(server + API + "?model=qwen3-8b&users=1&users=2"), 422)["code"] == "given-twice"
    assert problem_of(post(server, b'{"model": "qwen3-8b", "users": 1, "users": 2}'))["code"] == "given-twice"
    assert problem_of(post(server, b'{"model": "qwen3-8b", "config": {"a": 1, "a": 2}}'))["code"] == "given-twice"
    assert problem_of(httpx.get(server + API + "?" + "&".join(f"gpus=h{number}" for number in range(300))))["code"] == "too-many-fields"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"model"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b'{"model": "qwen3-8b", "users": Infinity}',
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": "qwen3-8b", "users": ' + b"9" * 100_000 + b"}",
        b'{"model": "qwen3-8b", "users": 1e999}',
        b'{"model": "qwen3-8b", "users": [1]}',
        b'{"model": "qwen3-8b", "users": {"a": 1}}',
        b'{"model": "qwen3-8b", "users": true}',
        b'{"model": ["qwen3-8b"]}',
        b'{"model": "qwen3-8b", "gpus": {"h200": 1}}',
        b'{"model": "qwen3-8b", "gpus": [["h200"]]}',
        b'{"model": "qwen3-8b", "config": 5}',
        b'{"model": "qwen3-8b", "hub": "huggingface"}',
        b'{"model": "qwen3-8b", "fields": ["\\u0000"]}',
        b'{"config": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_bodies_that_are_no_request(server: str, body: bytes) -> None:
    begun = time.monotonic()
    problem_of(post(server, body))
    assert time.monotonic() - begun < QUICKLY_S


SIZES = ("num_hidden_layers", "vocab_size", "hidden_size", "num_attention_heads", "intermediate_size")


@pytest.mark.parametrize("key", SIZES)
@pytest.mark.parametrize("value", [10**30, -1, 0.5, 1e300, "1" * 1000, True, {}], ids=lambda value: str(value)[:10])
def test_configurations_whose_sizes_are_none(server: str, key: str, value: object) -> None:
    begun = time.monotonic()
    problem_of(post(server, {"config": {**_LLAMA, key: value}, "users": 5, "gpus": ["h200"]}))
    assert time.monotonic() - begun < QUICKLY_S


@pytest.mark.parametrize("key", [*SIZES, "num_local_experts"])
@pytest.mark.parametrize("value", [10**9, [1] * 10_000, None], ids=["many", "a list", "null"])
def test_configurations_beyond_all_reason(server: str, key: str, value: object) -> None:
    """Refused, or answered: by no hardware at all, where it is a billion."""
    begun = time.monotonic()
    found = post(server, {"config": {**_LLAMA, key: value}, "users": 5, "gpus": ["h200"], "fields": ["gpu"]})
    assert found.status_code == 200 or problem_of(found)
    assert found.status_code != 200 or value != 10**9 or key == "num_local_experts" or found.json()["options"] == []
    assert time.monotonic() - begun < QUICKLY_S


def test_a_body_that_says_its_length_is_not_read(server: str) -> None:
    found = raw(server, b"POST /api/v1/plan HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{")
    assert found.startswith(b"HTTP/1.1 413 ")
    assert b"body-too-large" in found


@pytest.mark.parametrize("path", [API, "/", "/api/v1/models", "/nowhere"])
def test_a_hundred_megabytes_without_a_length(server: str, path: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1_000_000

    begun = time.monotonic()
    with suppress(httpx.TransportError):  # the server may close while we still send
        problem_of(httpx.post(server + path, content=chunks(), headers={"Content-Type": "application/json"}, timeout=60), 413)
    assert time.monotonic() - begun < QUICKLY_S


def dripped(server: str, head: bytes) -> bytes:
    """What comes back to somebody who sends a byte every half second until the other side has had enough."""
    with socket.create_connection(place(server), timeout=0.5) as client:
        client.sendall(head)
        found, begun = b"", time.monotonic()
        while time.monotonic() - begun < 2 * QUICKLY_S:
            try:
                client.sendall(b"x")
                found += (chunk := client.recv(1 << 16))
                if not chunk:
                    return found
            except TimeoutError:
                continue
            except OSError:
                return found
    raise AssertionError("the server still listens")


def left_lying(server: str, head: bytes) -> bytes:
    """What had been sent to somebody who asks much and takes nothing for long."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(place(server))
        client.sendall(head * 40)
        time.sleep(QUICKLY_S)
        return read_to_end(client)


def test_slow_clients_are_given_up(server: str) -> None:
    """All at once, since each takes as long as the server's patience."""
    post = b"POST /api/v1/plan HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    get = b"GET /api/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with ThreadPoolExecutor(8) as pool:
        body = pool.submit(dripped, server, post + b"Content-Length: 1000\r\n\r\n")
        unread = pool.submit(dripped, server, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n")
        head = pool.submit(dripped, server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        silent = pool.submit(raw, server, b"")
        lying = pool.submit(left_lying, server, get)
        many = pool.submit(held_lines, server)
        assert body.result().startswith(b"HTTP/1.1 408 ")
        assert unread.result().startswith(b"HTTP/1.1 408 ")
        assert head.result() == silent.result() == b""
        whole = len(httpx.get(server + "/api/v1/models", headers={"Accept-Encoding": "identity"}, timeout=60).content)
        assert len(lying.result()) < 40 * whole
        assert many.result() == 200


def held_lines(server: str) -> int:
    """Hundreds who begin and do not go on; how somebody else is answered afterwards."""
    clients = [socket.create_connection(place(server), timeout=30) for _ in range(600)]
    try:
        for client in clients[:400]:
            client.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(QUICKLY_S)
        return httpx.get(server + "/healthz", timeout=60).status_code
    finally:
        for client in clients:
            client.close()


def test_long_addresses_and_heads(server: str) -> None:
    assert problem_of(httpx.get(server + API + "?model=" + "x" * 20_000), 414)["code"] == "query-too-long"
    assert problem_of(httpx.get(server + "/" + "x" * 20_000), 414)["code"] == "query-too-long"
    assert problem_of(httpx.get(server + "/?" + "x" * 60_000), 414)
    assert problem_of(httpx.get(server + API, headers={"X-Long": "x" * 40_000}), 431)["code"] == "headers-too-long"
    assert problem_of(httpx.get(server + API, headers={f"X-{number}": "x" for number in range(200)}), 431)
    assert b" 431 " in raw(server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: " + b"x" * 1_000_000)[:40]
    assert b" 414 " in raw(server, b"GET /" + b"x" * 1_000_000)[:40]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "evil.example:80"])
def test_another_name_is_not_answered(server: str, host: str) -> None:
    """What a page of somebody else's would ask by a name of its own that leads here."""
    found = raw(server, f"GET /api/v1/engines HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 421 ")
    assert b"host-not-trusted" in found


@pytest.mark.parametrize(
    "sent",
    [
        b"\0" * 100 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
    ids=["zeros", "half a line", "TLS", "two hosts"],
)
def test_what_is_no_http(server: str, sent: bytes) -> None:
    found = raw(server, sent)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in found
    assert b"content-security-policy" in found


@pytest.mark.parametrize("kind", ["text/xml", "multipart/form-data; boundary=x", "text/plain", ""])
def test_bodies_of_other_types(server: str, kind: str) -> None:
    found = httpx.post(server + API, content=b"{}", headers={"Content-Type": kind})
    assert problem_of(found, 415)["code"] == "unknown-type-of-body"


def test_nothing_was_written(server_process: ServerProcess) -> None:
    """No file of the repository's code is where the server was started; none was added by it."""
    found = {path.name for path in server_process.folder.rglob("*")}
    assert found <= {"tempting-model", "qwen3-8b", "config.json"}
    assert ROOT not in server_process.folder.parents
