"""Text encoders: what a vector is, and that batches, devices and folders do not change it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from latentcrs.base.device import fast_dtype, resolve_device
from latentcrs.base.errors import UserError
from latentcrs.text import (
    LocalEncoder,
    PromptEOL,
    SentenceEncoder,
    TextEncoder,
    embed,
    missing_texts,
    open_encoder,
    same_model,
)
from latentcrs.text.encoders import length_batches
from latentcrs.text.minilm import MiniLM, has_int8
from latentcrs.text.model_folders import embedded_minilm


def test_the_embedded_encoder_puts_like_sentences_together(minilm: LocalEncoder) -> None:
    vectors = minilm.encode(["a funny film for kids", "a comedy the children will enjoy", "a manual for a lathe"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


def test_vectors_equal_those_of_sentence_transformers(minilm: LocalEncoder, sentences: list[str]) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [*sentences, "", "  ÀÉ straße ﬁn\u200b 映画 🎬 [MASK]\n", "word " * 900]
    reference = SentenceTransformer(str(embedded_minilm()), device="cpu").encode(texts)
    np.testing.assert_allclose(minilm.encode(texts), reference, atol=1e-5)


def test_an_encoder_says_its_id_and_width_without_loading_the_model() -> None:
    encoder = open_encoder()
    assert isinstance(encoder, TextEncoder)
    assert encoder.id.startswith("minilm-")
    assert encoder.width == 384
    assert not encoder.loaded


def test_order_is_kept_whatever_the_lengths(minilm: LocalEncoder) -> None:
    texts = [" ".join(["film"] * length) for length in (40, 1, 90, 3, 400, 2, 60)] + ["", "ünïcödé 映画 🎬"]
    heard: list[int] = []
    together = minilm.encode(texts, heard.append)
    assert sum(heard) == len(texts)
    alone = np.concatenate([minilm.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_texts_give_no_rows(minilm: LocalEncoder) -> None:
    assert minilm.encode([]).shape == (0, 384)


def test_half_a_surrogate_pair_is_encoded_rather_than_refused(minilm: LocalEncoder) -> None:
    assert np.isfinite(minilm.encode(["broken \ud83d emoji", "fine"])).all()


def test_bfloat16_points_the_same_way_as_float32(minilm: LocalEncoder, sentences: list[str]) -> None:
    half = open_encoder("minilm", "cpu", precision="bfloat16")
    cosines = (half.encode(sentences) * minilm.encode(sentences)).sum(axis=1)
    assert cosines.min() > 0.995
    assert half.id == minilm.id


@pytest.fixture
def eight_bits() -> LocalEncoder:
    if not has_int8():
        pytest.skip("int8 products are for x86 alone")
    encoder = open_encoder("minilm", "cpu", precision="int8")
    assert isinstance(encoder, LocalEncoder)
    return encoder


def test_int8_points_the_same_way_as_float32_alone_and_in_a_batch(
    minilm: MiniLM, eight_bits: MiniLM, sentences: list[str]
) -> None:
    texts = [*sentences, "", "ÀÉ straße 映画 🎬 [MASK]", "word " * 900, "a film about a heist that goes wrong. " * 20]
    vectors = eight_bits.encode(texts)
    assert ((vectors * minilm.encode(texts)).sum(1) > 0.985).all()
    alone = np.concatenate([eight_bits.encode([text]) for text in texts])
    assert ((vectors * alone).sum(1) > 0.995).all()
    for exact, rounded in zip(minilm.states(sentences), eight_bits.states(sentences), strict=True):
        assert exact.offsets == rounded.offsets
        assert np.corrcoef(exact.states.ravel(), rounded.states.ravel())[0, 1] > 0.985


def test_vectors_in_int8_are_of_the_same_model_and_never_share_a_cache(
    minilm: LocalEncoder, eight_bits: LocalEncoder, sentences: list[str]
) -> None:
    assert eight_bits.id != minilm.id
    assert same_model(eight_bits.id, minilm.id) and not same_model(eight_bits.id, "minilm-of-another-kind-int8")
    embed(sentences, eight_bits, name=None)
    assert missing_texts(sentences, minilm) == sentences
    assert missing_texts(sentences, eight_bits) == []


def test_a_processor_without_bfloat16_takes_int8_unless_told_otherwise() -> None:
    script = "from latentcrs.text import open_encoder; print(open_encoder().id)"
    older = {**os.environ, "ATEN_CPU_CAPABILITY": "avx2", "CUDA_VISIBLE_DEVICES": ""}
    told = [
        subprocess.run(
            [sys.executable, "-c", script], env={**older, **more}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for more in ({"LATENTCRS_PRECISION": ""}, {"LATENTCRS_PRECISION": "float"})
    ]
    assert told[0] == told[1] + "-int8" * has_int8()


def test_a_precision_that_is_not_there_is_refused_by_name(
    causal_lm: Path, monkeypatch: pytest.MonkeyPatch, sentences: list[str]
) -> None:
    with pytest.raises(UserError, match="has no int8"):
        open_encoder(str(causal_lm), "cpu", precision="int8").encode(sentences)
    monkeypatch.setenv("LATENTCRS_PRECISION", "int4")
    with pytest.raises(UserError, match="int4"):
        open_encoder()


def test_what_was_just_read_alone_is_not_read_again(sentences: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = open_encoder("minilm", "cpu", precision="float32")
    assert isinstance(encoder, MiniLM)
    passes: list[int] = []
    forward = MiniLM._layer_states
    monkeypatch.setattr(
        MiniLM, "_layer_states", lambda self, ids, *rest: passes.append(len(ids)) or forward(self, ids, *rest)
    )
    read = encoder.states(sentences[:1])[0].vector
    heard: list[int] = []
    vectors = encoder.encode(sentences[:1], heard.append)
    np.testing.assert_array_equal(vectors, read[None])
    assert passes == [1] and heard == [1]
    vectors[:] = 0  # what comes back is the caller's own
    np.testing.assert_array_equal(encoder.encode(sentences[:1])[0], read)
    for number in range(100):
        encoder.encode([f"film {number}"])
    np.testing.assert_array_equal(encoder.encode(sentences[:1])[0], read)
    assert passes == [1] * 102


def test_batches_hold_every_row_once_within_the_budget() -> None:
    counts = np.array([5, 300, 1, 7, 7, 64, 2])
    batches = list(length_batches(counts, 100))
    assert sorted(np.concatenate(batches).tolist()) == list(range(7))
    assert all(len(rows) == 1 or len(rows) * counts[rows].max() <= 100 for rows in batches)
    assert batches[0].tolist() == [1]


def test_a_bare_folder_is_recognised(causal_lm: Path, tmp_path: Path) -> None:
    assert isinstance(open_encoder(str(causal_lm)), PromptEOL)
    assert isinstance(open_encoder(str(embedded_minilm())), SentenceEncoder)
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"architectures": ["BertModel"]}')
    with pytest.raises(UserError, match=r"BertModel.*st:"):
        open_encoder(str(tmp_path / "bert"))


def test_prompteol_gives_one_text_the_same_vector_alone_and_in_a_batch(causal_lm: Path, sentences: list[str]) -> None:
    encoder = open_encoder(f"prompteol:{causal_lm}", "cpu", precision="float32")
    texts = [*sentences, "short", "a film " * 20]
    together = encoder.encode(texts)
    assert together.shape == (6, encoder.width) == (6, 32)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=2e-4)
    assert np.abs(together[0] - together[1]).max() > 0.05  # the text shows in the vector


def test_prompteol_is_the_causal_models_last_hidden_state(causal_lm: Path, sentences: list[str]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(causal_lm).float().eval()
    ids = AutoTokenizer.from_pretrained(causal_lm)(
        f'This sentence: "{sentences[0]}" means in one word:"', return_tensors="pt"
    )
    with torch.inference_mode():
        expected = model(input_ids=ids["input_ids"], output_hidden_states=True).hidden_states[-1][0, -1].numpy()
    got = open_encoder(str(causal_lm), "cpu", precision="float32").encode(sentences[:1])[0]
    np.testing.assert_allclose(got, expected, atol=2e-4)


def test_prompteol_cuts_a_long_text_and_keeps_the_end_of_its_prompt(causal_lm: Path, sentences: list[str]) -> None:
    encoder = open_encoder(str(causal_lm), "cpu", precision="float32")
    long = sentences[1] * 200
    assert encoder.count_tokens([long, "short"]).max() <= 128
    assert np.isfinite(encoder.encode([long])).all()
    assert isinstance(encoder, PromptEOL)
    assert encoder._prompts([long])[0].endswith('" means in one word:"')


def test_other_weights_have_another_id(causal_lm: Path, tmp_path: Path) -> None:
    copy = tmp_path / causal_lm.name
    shutil.copytree(causal_lm, copy)
    same = open_encoder(str(copy)).id
    assert same == open_encoder(str(causal_lm)).id
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert open_encoder(str(copy)).id != same


@pytest.mark.parametrize(
    "spec", ["nonsense", "/no/such/folder", "prompteol:/no/such/folder", "st:./missing", "prompteol:", "x:y"]
)
def test_a_missing_encoder_is_one_sentence(spec: str) -> None:
    with pytest.raises(UserError) as raised:
        open_encoder(spec)
    assert "There is no" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_hub_name_without_a_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(UserError, match="hub cannot be reached") as raised:
        open_encoder("st:sentence-transformers/all-mpnet-base-v2")
    assert "\n" not in str(raised.value)


def test_a_damaged_model_is_one_sentence(causal_lm: Path, tmp_path: Path) -> None:
    copy = tmp_path / "damaged"
    shutil.copytree(causal_lm, copy)
    (copy / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="cannot be loaded") as raised:
        open_encoder(str(copy), "cpu").encode(["text"])
    assert "\n" not in str(raised.value)


def test_a_device_that_is_not_there_is_refused_by_name() -> None:
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    assert fast_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)
    for name in ("tpu", "cuda:x", "cuda:99"):
        with pytest.raises(UserError, match=name):
            resolve_device(name)
