"""Models that the tests of room `language` share: the embedded sentence encoder, and a tiny causal language model."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentcrs.text import LocalEncoder, open_encoder

SENTENCES = [
    "a funny film for children from the nineties",
    "something slow and sad, in black and white",
    "a detective story with a twist at the end",
    "war films, but nothing too violent please",
]


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Four requests as people write them."""
    return SENTENCES


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache folder of its own, and floating-point vectors on every processor."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LATENTCRS_CACHE", str(folder))
    monkeypatch.setenv("LATENTCRS_PRECISION", "float")
    return folder


@pytest.fixture(scope="session")
def minilm() -> LocalEncoder:
    """The embedded encoder in float32, loaded once for all tests."""
    encoder = open_encoder("minilm", "cpu", precision="float32")
    encoder.load()
    return encoder


def write_causal_lm(folder: Path, family: str) -> Path:
    """Write a random causal language model of `family` (llama or gpt2) with a trained tokenizer: a real folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from tokenizers.decoders import ByteLevel
    from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 5, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    size = tokenizer.get_vocab_size()
    torch.manual_seed(0)
    config = (
        GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=128)
        if family == "gpt2"
        else LlamaConfig(
            vocab_size=size,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
        )
    )
    model = AutoModelForCausalLM.from_config(config)
    # Weights larger than at initialisation, so that what comes before a token shows in its hidden state.
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8) if weights.dim() > 1 else None
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=["llama", "gpt2"])
def causal_lm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny causal language model; GPT-2 has absolute positions, Llama relative ones."""
    return write_causal_lm(tmp_path_factory.mktemp(request.param) / f"tiny-{request.param}", request.param)
