"""Serve a bundle and talk with it through the `openai` package, as with any chat model.

python examples/openai_chat.py models/ml-1m
"""

import sys
from pathlib import Path

from openai import OpenAI
from serving import serving

SAID = ["something funny from the nineties, no musicals", "rather older ones", "why the first one?"]


def main(bundle: str) -> None:
    """Say what a person might, one after the other."""
    with serving(bundle) as address:
        client, messages = OpenAI(base_url=f"{address}/v1", api_key="none"), []
        for words in SAID:
            messages.append({"role": "user", "content": words})
            answer = client.chat.completions.create(model=Path(bundle).name, messages=messages).choices[0].message
            messages.append({"role": "assistant", "content": answer.content})
            print(f"> {words}\n{answer.content}\n")
        # Beside the text, for programs: the items with their ids and reasons, and the rules in force.
        print(answer.model_extra["latentcrs"]["rules"])


if __name__ == "__main__":
    main(sys.argv[1])
