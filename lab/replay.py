"""Records what the project computes and says, and compares two records: nothing may change where code only moves.

    python lab/replay.py record FOLDER      tables, forty conversations, every system of the paper; about 15 minutes
    python lab/replay.py record NEW OLD     the same with the data sets, bundles and embeddings of an older record
    python lab/replay.py compare OLD NEW    exit code 1 where they differ, with the first differences

Everything is asked by commands, HTTP and MCP, as from outside: a record outlives any change of module names. Times,
ids, ports and dates are left out. Texts that are encoded anew, in other batches, differ in their last bits, and so
does what is trained on them: hence the second form, in which the paper's other systems are trained anew, and no
bundle. The words of the conversations are real people's (`heard` below LATENTCRS_DATA).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx2

DATA = Path(os.environ.get("LATENTCRS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data").resolve()
COMMAND = [sys.executable, "-c", "from latentcrs.cli.main import main; main()"]
BRIEF = (
    "behaviour.training.epochs=3", "behaviour.training.min_steps=0", "behaviour.training.batch=32",
    "em.epochs=6", "em.min_steps=0", "em.patience=2",
)  # fmt: skip
TRAINED = "attributes,max-entropy,crm,unicorn,crif"
ASKED = "zero-shot,chat-rec,interec"
VOLATILE = re.compile(
    r"seconds|milliseconds|^id$|request_id|^conversation$|created|updated|started|hardware|version|^command$|conversation_id|path|^at$|busy"
)
PER_DOOR = 10
LINES = 5


def latentcrs(*words: object, stdin: str | None = None, cwd: Path | None = None) -> str:
    """Standard output of a command that has to succeed."""
    ran = subprocess.run([*COMMAND, *map(str, words)], input=stdin, capture_output=True, text=True, cwd=cwd)
    if ran.returncode:
        raise SystemExit(f"latentcrs {' '.join(map(str, words))} ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
    return ran.stdout


def steady(value: Any) -> Any:
    """A value without what differs from run to run."""
    if isinstance(value, dict):
        return {name: steady(each) for name, each in value.items() if not VOLATILE.search(name)}
    if isinstance(value, str):
        return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", value)
    return [steady(each) for each in value] if isinstance(value, list) else value


# A language model that answers every prompt by the prompt alone.


class _Model(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = "\n".join(str(message["content"]) for message in asked["messages"])
        schema = (asked.get("response_format") or {}).get("json_schema", {}).get("schema")
        titles = list(dict.fromkeys(re.findall(r"[A-Z][^\n;=]{1,60}? \(\d{4}\)", prompt))) or ["Toy Story (1995)"]
        text = "Here you are." if schema is None else json.dumps(_filled(schema, schema, prompt, titles, ""))
        message = {"role": "assistant", "content": text}
        tokens = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split()), "total_tokens": 0}
        answer = {
            "id": "x", "object": "chat.completion", "created": 0, "model": "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": tokens,
        }  # fmt: skip
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def _filled(schema: dict[str, Any], root: dict[str, Any], prompt: str, titles: list[str], where: str) -> Any:
    """A value that `schema` allows, the same for the same prompt."""
    draw = int(hashlib.sha256(f"{prompt}|{where}".encode()).hexdigest()[:8], 16)
    if "$ref" in schema:
        return _filled(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, prompt, titles, where)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _filled(choices[draw % len(choices)], root, prompt, titles, where)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][draw % len(schema["enum"])]
    kind = schema.get("type", "string")
    if kind == "object":
        parts = schema.get("properties", {})
        return {name: _filled(part, root, prompt, titles, f"{where}.{name}") for name, part in parts.items()}
    if kind == "array":
        count = min(schema.get("maxItems", 5), max(schema.get("minItems", 1), 5))
        return [_filled(schema.get("items", {}), root, prompt, titles, f"{where}[{n}") for n in range(count)]
    low = int(schema.get("minimum", 0))
    simple = {"integer": low + draw % (int(schema.get("maximum", low + 9)) - low + 1), "boolean": bool(draw % 2)}
    return simple.get(kind, titles[draw % len(titles)]) if kind != "null" else None


@contextmanager
def scripted_model() -> Iterator[str]:
    """The address of an endpoint in OpenAI's format that answers by the prompt alone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()


# What is recorded.


def spoken() -> list[list[str]]:
    """What forty real people said, at most `LINES` lines of each."""
    found = []
    for line in (DATA / "heard" / "dialogues.dev.jsonl").read_text("utf-8").splitlines():
        said = [
            turn["text"] for turn in json.loads(line)["turns"] if turn["role"] == "seeker" and turn["text"].strip()
        ]
        found.append(said[:LINES])
    for line in (DATA / "heard" / "single.dev.jsonl").read_text("utf-8").splitlines():
        found.append([json.loads(line)["text"]])
    return found[: 4 * PER_DOOR]


def chats(bundle: Path, talks: list[list[str]]) -> list[str]:
    """Conversations in the terminal's loop."""
    return [latentcrs("chat", bundle, "--no-store", stdin="\n".join(said) + "\n") for said in talks]


@contextmanager
def served(bundle: Path, folder: Path) -> Iterator[str]:
    """The address of a server over `bundle`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", str(bundle), "--port", str(port), "--db", str(folder / "store.sqlite"), "--no-page"]
    rates = ["--request-rate", "1000000/minute", "--turn-rate", "1000000/minute"]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen([*COMMAND, *words, *rates], stderr=log, stdout=log)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    if httpx2.get(f"{address}/health/ready").status_code == 200:
                        break
                except httpx2.HTTPError:
                    pass
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def native(address: str, talks: list[list[str]]) -> list[Any]:
    """Conversations over the native API, under whichever prefix this version has it."""
    found = []
    with httpx2.Client(base_url=address, timeout=120, follow_redirects=True) as client:
        prefix = "/api/v1" if client.get("/api/v1/catalogue").status_code != 404 else ""
        prefix = prefix if client.post(f"{prefix}/conversations", json={}).is_success else ""
        for number, said in enumerate(talks):
            begun = client.post(f"{prefix}/conversations", json={"user": str(number + 1)}).raise_for_status().json()
            turns = []
            for line in said:
                answer = client.post(f"{prefix}/conversations/{begun['id']}/turns", json={"utterance": line})
                turns.append({"status": answer.status_code, "turn": steady(answer.json())})
            found.append(turns)
    return found


def openai(address: str, talks: list[list[str]]) -> list[Any]:
    """Conversations in OpenAI's format, all that was said sent each time."""
    found = []
    with httpx2.Client(base_url=address, timeout=120) as client:
        model = client.get("/v1/models").raise_for_status().json()["data"][0]["id"]
        for number, said in enumerate(talks):
            messages: list[dict[str, str]] = []
            answers = []
            for line in said:
                messages.append({"role": "user", "content": line})
                body = {"model": model, "user": str(number + 101), "messages": messages}
                answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
                answers.append(steady(answer))
                messages.append(answer["choices"][0]["message"])
            found.append(answers)
    return found


def mcp(bundle: Path, folder: Path, talks: list[list[str]]) -> list[Any]:
    """Requests of an agent, line by line."""
    from mcp import Client, StdioServerParameters

    async def run() -> list[Any]:
        words = ["mcp", str(bundle), "--db", str(folder / "mcp.sqlite")]
        found: list[Any] = []
        server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *words], env=dict(os.environ))
        async with Client(server) as client:
            tools = await client.list_tools()
            found.append([steady(tool.model_dump(mode="json")) for tool in tools.tools])
            for said in talks:
                for line in said:
                    answer = await client.call_tool("recommend", {"request": line})
                    found.append(steady(answer.model_dump(mode="json")))
        return found

    return asyncio.run(run())


def record(folder: Path, like: Path | None = None) -> None:
    """Everything, into `folder`; what is there already stays. like: an older record, whose bundles are taken."""
    if like is not None and not folder.exists():
        others = shutil.ignore_patterns(
            "crm*", "unicorn*", "crif*", "*.sqlite-*", "store.sqlite", "mcp.sqlite", "talks*"
        )
        for part in ("work", "cache"):
            shutil.copytree(like / part, folder / part, ignore=others)
    os.environ["LATENTCRS_CACHE"] = str(folder / "cache")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ |= {"LATENTCRS_LLM_MODEL": "scripted", "LATENTCRS_LLM_KEY": "none"}
    work, out = folder / "work", folder / "record"
    for each in (work, out):
        each.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def part(name: str) -> Iterator[dict[str, Any]]:
        said: dict[str, Any] = {}
        began = time.perf_counter()
        yield said
        (out / f"{name}.json").write_text(json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False), "utf-8")
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)

    def missing(name: str) -> bool:
        return not (out / f"{name}.json").exists()

    k100, bundle = work / "ml-100k", work / "bundle"
    if not bundle.exists():
        if not k100.exists():
            latentcrs("data", "fetch", "ml-100k", "--accept-terms", "--out", work / "raw")
            latentcrs("data", "prepare", "ml-100k", "--from", work / "raw", "--out", k100)
            latentcrs("simulate", k100)
        latentcrs("train", k100, "--out", bundle, "--device", "cpu", *(word for s in BRIEF for word in ("--set", s)))
    if missing("one-turn"):
        with part("one-turn") as said:
            said["test"] = steady(json.loads(latentcrs("evaluate", "one-turn", bundle, "--json")))
    if missing("multi-turn"):
        with part("multi-turn") as said:
            words = ("--n", 150, "--variants", "b,f,popularity,bm25-fusion-f", "--json")
            for user in ("attributes", "plot"):
                said[user] = steady(json.loads(latentcrs("evaluate", "multi-turn", bundle, "--user", user, *words)))
    talks = spoken()
    if missing("conversations"):
        with part("conversations") as said:
            said["chat"] = chats(bundle, talks[:PER_DOOR])
            with served(bundle, work) as address:
                said["http"] = native(address, talks[PER_DOOR : 2 * PER_DOOR])
                said["openai"] = openai(address, talks[2 * PER_DOOR : 3 * PER_DOOR])
            said["mcp"] = mcp(bundle, work, talks[3 * PER_DOOR :])
    small, few = work / "small-bundle", work / "small"
    if not small.exists():
        if not few.exists():
            raw = work / "small-raw"
            raw.mkdir(exist_ok=True)
            for name in ("movies.dat", "users.dat", "movies_extrainfos.dat"):
                shutil.copy(DATA / "ml-1m" / name, raw / name)
            with (DATA / "ml-1m" / "ratings.dat").open("rb") as log, (raw / "ratings.dat").open("wb") as some:
                some.writelines(takewhile(lambda line: int(line.split(b"::")[0]) <= 250, log))
            latentcrs("data", "prepare", "ml-1m", "--from", raw, "--item-core", 10, "--out", few)
            latentcrs("simulate", few)
        latentcrs("train", few, "--out", small, "--device", "cpu", *(word for s in BRIEF for word in ("--set", s)))
    if missing("systems"):
        with part("systems") as said, scripted_model() as model:
            said["trained"] = steady(
                json.loads(latentcrs("evaluate", "one-turn", small, "--with", TRAINED, "--json"))
            )
            words = ("--with", ASKED, "--llm", model, "--sample", 40, "--json")
            said["asked"] = steady(json.loads(latentcrs("evaluate", "one-turn", small, *words)))
            for names in (TRAINED, ASKED):
                words = ("--variants", names, "--llm", model, "--n", 40, "--json")
                said[f"talks {names}"] = steady(json.loads(latentcrs("evaluate", "multi-turn", small, *words)))


def differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Where two values differ, a line each."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from differences(old.get(name), new.get(name), f"{where}/{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (ours, theirs) in enumerate(zip(old, new, strict=True)):
            yield from differences(ours, theirs, f"{where}/{number}")
    elif old != new and not (old != old and new != new):  # not a number, twice
        yield f"{where}: {str(old)[:200]!r} became {str(new)[:200]!r}"


def compare(old: Path, new: Path) -> int:
    """Prints what differs; 0 where nothing does."""
    found = 0
    for path in sorted((old / "record").glob("*.json")):
        theirs = new / "record" / path.name
        after = json.loads(theirs.read_text("utf-8")) if theirs.exists() else None
        lines = list(differences(steady(json.loads(path.read_text("utf-8"))), steady(after), path.stem))
        print(f"{path.stem}: {'the same' if not lines else f'{len(lines)} differences'}")
        for line in lines[:10]:
            print(f"  {line}")
        found += len(lines)
    return int(found > 0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", folder, *like] if len(like) < 2:
            record(Path(folder).resolve(), *(Path(each).resolve() for each in like))
        case ["compare", old, new]:
            sys.exit(compare(Path(old), Path(new)))
        case _:
            sys.exit(__doc__)
