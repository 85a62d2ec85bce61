"""The server as a deployment of Ray Serve: replicas on the machines of a cluster, which share one PostgreSQL store.

serve run latentcrs.scale.serving:app bundle=models/ml-1m replicas=2 insecure=true
"""

# Without `from __future__ import annotations`: Ray reads the type of the argument of `app` as it stands.

from fastapi import FastAPI
from pydantic import Field
from ray import serve
from ray.serve import Application

from latentcrs.base.errors import UserError
from latentcrs.recommend.bundle import read_manifest
from latentcrs.serve.settings import Settings

AT_ONCE = 100
"""Requests that Ray hands to a replica at once; most wait there for a thread, as they do in a server without Ray."""


class Arguments(Settings):
    """Settings of the server, and of its replicas: how many there are at first, and processors of each (`cpus`)."""

    page: bool = False  # it lives in one process
    replicas: int = Field(default=2, ge=1)
    cpus: float = Field(default=1.0, gt=0)


def app(arguments: Arguments) -> Application:
    """The application that Ray Serve runs: `create_app` in every replica, which is there once it is warm.

    Raises:
        UserError: no bundle there, or nobody said that everybody may come in, or who may.
    """
    read_manifest(arguments.bundle)
    if arguments.keys_file is None and not arguments.insecure:
        raise UserError(
            "Without keys everybody who reaches Ray's proxy could read every conversation: give keys_file=…, or say "
            "insecure=true."
        )
    given = arguments.model_dump(exclude={"replicas", "cpus"}) | {"bundle": arguments.bundle.absolute()}
    if arguments.keys_file is not None:
        given["keys_file"] = arguments.keys_file.absolute()
    settings = Settings.model_validate(given)

    def replica() -> FastAPI:
        from latentcrs.serve.app import create_app
        from latentcrs.serve.observe import log_as_json

        log_as_json(words=settings.log_words)
        opened = create_app(settings)
        opened.state.service.warm()
        return opened

    deployment = serve.deployment(
        name="latentcrs",
        num_replicas=arguments.replicas,
        max_ongoing_requests=AT_ONCE,
        graceful_shutdown_timeout_s=settings.shutdown_seconds,
        ray_actor_options={"num_cpus": arguments.cpus},
        logging_config={"enable_access_log": False},  # the server's own log has it
    )
    return deployment(serve.ingress(replica)()).bind()
