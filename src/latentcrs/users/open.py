"""Opens a simulated user by the name that commands give it."""

from typing import Literal, get_args

from latentcrs.base.errors import UserError
from latentcrs.base.plugins import load_plugin
from latentcrs.data.dataset import PreparedDataset
from latentcrs.llm import ChatModel
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.dialogue import SimulatedUser
from latentcrs.users.plot import PlotUser
from latentcrs.users.role_play import RolePlayUser

UserName = Literal["attributes", "plot", "llm"]
USERS: tuple[UserName, ...] = get_args(UserName)


def check_user(name: str, model: ChatModel | None = None) -> None:
    """Raises:
    UserError: there is no simulated user called `name`, or it is played by a language model and none is given.
    """
    if name not in USERS:
        load_plugin("user", name, USERS)
    if name == "llm" and model is None:
        raise UserError("The simulated user llm is played by a language model; name one with --llm.")


def open_user(name: str, dataset: PreparedDataset, seed: int = 0, model: ChatModel | None = None) -> SimulatedUser:
    """The simulated user called `name`, ours or a plug-in's (`base.plugins`); `model` plays "llm".

    Raises:
        UserError: there is no such user, or it needs a language model and none is given.
    """
    check_user(name, model)
    if name == "llm" and model is not None:
        return RolePlayUser(dataset, model, seed)
    if name == "plot":
        return PlotUser(dataset, seed)
    if name == "attributes":
        return AttributesUser(dataset, seed)
    user: SimulatedUser = load_plugin("user", name, USERS)(dataset, seed, model)
    return user
