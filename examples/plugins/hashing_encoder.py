"""A text encoder without a model: words, hashed. `latentcrs train DATASET --set text_encoder=hashing:512 ...`"""

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer


class Hashing:
    """What turns texts into vectors; see `latentcrs.text.TextEncoder`."""

    def __init__(self, width: int) -> None:
        self.width, self.id = width, f"hashing-{width}"  # vectors of one id compare
        self._words = HashingVectorizer(n_features=width)

    def encode(self, texts, progress=None) -> np.ndarray:
        """The vectors of `texts`, (len(texts), width)."""
        vectors = self._words.transform(texts).toarray().astype(np.float32)
        if progress is not None:
            progress(len(texts))
        return vectors


def open_hashing(rest: str, device: str, precision: str) -> Hashing:
    """`rest` is what stands behind "hashing:"."""
    return Hashing(int(rest or 256))
