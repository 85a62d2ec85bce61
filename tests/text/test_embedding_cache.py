"""The embedding cache: each text once, whoever asks, whatever stops the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.text import LocalEncoder, embed, missing_texts, open_encoder
from latentcrs.text.cache import EmbeddingCache


class Counting:
    """An encoder that remembers what it was asked for."""

    def __init__(self, encoder: LocalEncoder) -> None:
        self.id, self.width, self._encoder = encoder.id, encoder.width, encoder
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        self.asked += texts
        return self._encoder.encode(texts, progress)


def test_duplicates_are_encoded_once_and_order_is_kept(minilm: LocalEncoder, sentences: list[str]) -> None:
    encoder = Counting(minilm)
    texts = [sentences[2], sentences[0], sentences[2], sentences[1], sentences[0]]
    vectors = embed(texts, encoder)
    assert encoder.asked == [sentences[2], sentences[0], sentences[1]]
    np.testing.assert_allclose(vectors, minilm.encode(texts), atol=5e-4)
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_a_second_run_equals_the_first_and_loads_no_model(minilm: LocalEncoder, sentences: list[str]) -> None:
    cold = embed(sentences, minilm)
    encoder = open_encoder("minilm", "cpu")
    np.testing.assert_array_equal(embed(sentences[::-1], encoder), cold[::-1])
    assert not encoder.loaded


def test_only_what_is_new_is_encoded(minilm: LocalEncoder, sentences: list[str]) -> None:
    embed(sentences[:2], minilm)
    assert missing_texts(sentences, minilm) == sentences[2:]
    encoder = Counting(minilm)
    mixed = embed(sentences, encoder)
    assert encoder.asked == sentences[2:]
    np.testing.assert_array_equal(mixed, embed(sentences, open_encoder("minilm", "cpu")))


def test_no_texts_give_no_rows_and_no_file(minilm: LocalEncoder, own_cache: Path) -> None:
    assert embed([], minilm).shape == (0, 384)
    assert not (own_cache / "embeddings").exists()


def test_two_encoders_do_not_share_vectors(minilm: LocalEncoder, causal_lm: Path, sentences: list[str]) -> None:
    embed(sentences, minilm)
    assert embed(sentences, open_encoder(str(causal_lm), "cpu")).shape == (4, 32)


# No model, so that the processes spend their time where they meet: in the file.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from latentcrs.text import cache

class Lengths:
    id, width = "lengths", 8
    def encode(self, texts, progress=None):
        return np.array([[int(text) % 1000] * 8 for text in texts], np.float32)

cache.FIRST_CHUNK, cache.SECONDS_PER_COMMIT = 50, 0.0
numbers = range(0, 3000) if sys.argv[2] == "0" else range(2999, -1, -1)
vectors = cache.embed([str(number) for number in numbers], Lengths(), Path(sys.argv[1]))
assert (vectors[:, 0] == [number % 1000 for number in numbers]).all()
"""


def test_processes_that_write_the_same_cache_at_once_lose_nothing(own_cache: Path) -> None:
    commands = [[sys.executable, "-c", WRITER, str(own_cache), str(n % 2)] for n in range(4)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    store = EmbeddingCache("lengths", own_cache)
    assert len(store) == 3000
    store.close()


LONG_RUN = """
import sys
from pathlib import Path
from latentcrs.text import cache, open_encoder

cache.FIRST_CHUNK, cache.SECONDS_PER_COMMIT = 16, 0.0
cache.embed([f"film number {n}" for n in range(20_000)], open_encoder("minilm", "cpu"), Path(sys.argv[1]))
"""


def test_a_killed_run_goes_on_where_it_was(minilm: LocalEncoder, own_cache: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", LONG_RUN, str(own_cache)], stderr=subprocess.PIPE)
    store = EmbeddingCache(minilm.id, own_cache)
    try:
        deadline = time.monotonic() + 120
        while len(store) < 40:
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kept = len(store)
    finally:
        process.kill()
        store.close()
    encoder = Counting(minilm)
    texts = [f"film number {n}" for n in range(kept + 10)]
    embed(texts, encoder, own_cache)
    assert encoder.asked == texts[kept:]


def test_vectors_that_are_not_finite_are_refused_with_their_text(minilm: LocalEncoder) -> None:
    class Broken(Counting):
        def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
            vectors = np.zeros((len(texts), self.width), np.float32)
            vectors[1, 0] = np.inf
            return vectors

    with pytest.raises(UserError, match=r"no finite vector.*'bad text'"):
        embed(["good text", "bad text"], Broken(minilm))
    assert missing_texts(["good text"], minilm) == ["good text"]


def test_a_damaged_cache_is_one_sentence(minilm: LocalEncoder, own_cache: Path, sentences: list[str]) -> None:
    folder = own_cache / "embeddings"
    folder.mkdir(parents=True)
    (folder / f"{minilm.id}.sqlite").write_bytes(b"no database, " * 1000)
    with pytest.raises(UserError, match=r"cache .* cannot be used .*LATENTCRS_CACHE") as raised:
        embed(sentences, minilm)
    assert "\n" not in str(raised.value)
