"""The heart: intents, the inference and the generative model, their losses, and variational EM between them."""

from latentcrs.intent.config import PRESETS, Config, load_config
from latentcrs.intent.em import EM
from latentcrs.intent.model import GenerativeModel, InferenceModel
from latentcrs.intent.stage import Rows, Softmax

__all__ = ["EM", "PRESETS", "Config", "GenerativeModel", "InferenceModel", "Rows", "Softmax", "load_config"]
