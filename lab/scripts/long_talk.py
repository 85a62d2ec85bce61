"""What a turn over OpenAI's API takes after 1 to 200 turns, of the processor and of the store.

    python lab/scripts/long_talk.py BUNDLE [--turns 200]

One client sends all messages each time, as chat clients do, to a server in this process. Medians of ten turns each.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path

import structlog
from starlette.testclient import TestClient

from latentcrs.serve.app import create_app
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Turn

SAID = ("a comedy", "rather a drama", "something from the nineties", "newer ones", "not so sad", "surprise me")


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--turns", type=int, default=200)
    options = parser.parse_args()
    read = 0
    validate = Turn.model_validate

    def counted(*given: object, **named: object) -> Turn:
        nonlocal read
        read += 1
        return validate(*given, **named)

    Turn.model_validate = counted  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        service = Service(options.bundle, ConversationStore(f"{folder}/store.db"))
        service.warm()
        settings = Settings(bundle=options.bundle, page=False, turn_rate="off", request_rate="off")
        messages: list[dict[str, str]] = []
        times: list[tuple[float, int]] = []
        with TestClient(create_app(settings, service), base_url="http://localhost") as client:
            for number in range(options.turns):
                messages.append({"role": "user", "content": SAID[number % len(SAID)]})
                before, began = read, time.process_time()
                answer = client.post(
                    "/v1/chat/completions", json={"model": service.bundle_name, "messages": messages}
                )
                times.append((time.process_time() - began, read - before))
                answer.raise_for_status()
                messages.append({"role": "assistant", "content": answer.json()["choices"][0]["message"]["content"]})
    print("turns        processor ms  turns read")
    for start in (0, 10, 20, 50, 100, 150, 190):
        part = times[start : start + 10]
        if part:
            milliseconds, turns = (statistics.median(values) for values in zip(*part, strict=True))
            print(f"{start + 1:3d} to {start + len(part):3d}   {1000 * milliseconds:8.1f}      {turns:6.1f}")


if __name__ == "__main__":
    main()
