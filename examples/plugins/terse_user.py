"""A simulated user who says one value of the wanted item at a time. `latentcrs simulate DATASET --user terse`"""


class TerseUser:
    """Says "Comedy", then "Drama", and nothing else; see `latentcrs.users.dialogue.SimulatedUser`."""

    name = "terse"

    def __init__(self, dataset, seed, model) -> None:
        named = [name for name, kind in dataset.info.columns.items() if kind in ("category", "multi-category")]
        self._values = [
            [value for entry in row if entry for value in (entry if isinstance(entry, list) else [entry])]
            for row in dataset.items.select(named).iter_rows()
        ]

    def speak(self, dialogues) -> None:
        """The next sentence of each dialogue, onto the end of its `said`."""
        for one in dialogues:
            values = self._values[one.target] or ["anything"]
            one.said.append(values[len(one.said) % len(values)])
