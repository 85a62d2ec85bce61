"""How fast items change while people are recommended others: the figures of docs/how-to/serve.md.

    python lab/scripts/item_changes.py BUNDLE [--single 10000] [--changes 100000] [--lines 1000] [--column price]

Starts `latentcrs serve` with a store of its own and changes random items: `--single` of them one a request (over
`--clients` connections), then `--changes` as JSON lines, `--lines` a request; it asks for a recommendation all the
while. In the end, after `kill -9` and a restart, every item has its last price.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import polars as pl

RUN = "from latentcrs.cli.main import main; main()"


def served(bundle: str, db: str, port: int) -> subprocess.Popen[bytes]:
    """A server process, ready."""
    command = [sys.executable, "-c", RUN, "serve", bundle, "--db", db, "--port", str(port), "--no-page"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                return process
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def asked(address: str, ended: threading.Event, waits: list[float]) -> None:
    """Recommendations, one after the other; how long each took."""
    with httpx2.Client(base_url=address, timeout=60) as client:
        while not ended.wait(0.1):
            began = time.perf_counter()
            answer = client.post("/api/v1/recommendations", json={"request": "a comedy", "k": 5})
            waits.append(time.perf_counter() - began)
            assert answer.status_code == 200 and len(answer.json()) == 5, answer.text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--single", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--column", default="price", help="A column of numbers.")
    options = parser.parse_args()
    ids = pl.read_parquet(Path(options.bundle) / "items.parquet")["item_id"].cast(pl.String).to_list()
    rng = np.random.default_rng(0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        db = str(Path(folder) / "store.sqlite")
        server, last = served(options.bundle, db, port), {}
        for what, many in (("one a request", options.single), (f"{options.lines:,} a request", options.changes)):
            some = [ids[n] for n in rng.integers(len(ids), size=many)]
            rows = [{"item_id": id, options.column: float(n)} for n, id in enumerate(some)]
            last |= {row["item_id"]: row[options.column] for row in rows}
            ended, waits = threading.Event(), []
            asking = threading.Thread(target=asked, args=(address, ended, waits))
            asking.start()
            began = time.perf_counter()
            if what == "one a request":
                parts = [
                    [row for row in rows if hash(row["item_id"]) % options.clients == n]
                    for n in range(options.clients)
                ]

                def change(part: list[dict[str, object]]) -> None:
                    with httpx2.Client(base_url=address, timeout=60) as client:
                        for row in part:
                            said = {options.column: row[options.column]}
                            answer = client.patch(f"/api/v1/items/{row['item_id']}", json=said)
                            assert answer.status_code == 204, answer.text

                with ThreadPoolExecutor(options.clients) as pool:
                    list(pool.map(change, parts))
            else:
                with httpx2.Client(base_url=address, timeout=60) as client:
                    for start in range(0, len(rows), options.lines):
                        lines = "\n".join(map(json.dumps, rows[start : start + options.lines]))
                        answer = client.put("/api/v1/items", content=lines)
                        assert answer.status_code == 200, answer.text
            seconds = time.perf_counter() - began
            ended.set()
            asking.join()
            p50, p95 = np.percentile(waits, [50, 95]) * 1000
            print(
                f"{what}: {many:,} changes in {seconds:.1f} s, {many / seconds:,.0f}/s; meanwhile "
                f"{len(waits):,} recommendations, p50 {p50:.0f} ms, p95 {p95:.0f} ms, none failed",
                flush=True,
            )
        server.send_signal(signal.SIGKILL)
        server.wait()
        server = served(options.bundle, db, port)
        with httpx2.Client(base_url=address, timeout=60) as client:
            wrong = [
                id for id, value in last.items() if client.get(f"/api/v1/items/{id}").json()[options.column] != value
            ]
        print(f"after kill -9: {len(last) - len(wrong):,} of {len(last):,} changed items have their last value")
        server.terminate()
        server.wait()
        raise SystemExit(bool(wrong))
