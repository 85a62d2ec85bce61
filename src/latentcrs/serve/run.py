"""Runs a server: checks what it is asked for, then uvicorn, in this process or in several."""

import gc
import importlib
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from typing import Any

from latentcrs.base.addresses import is_loopback
from latentcrs.base.errors import UserError
from latentcrs.base.progress import err_console
from latentcrs.recommend.bundle import read_manifest
from latentcrs.serve.keys import Keys
from latentcrs.serve.settings import VARIABLE, Settings
from latentcrs.store.conversations import ConversationStore

OPEN_FILES = 1 << 16
KEEP_ALIVE_SECONDS = 75
"""An idle connection stays open longer than clients (httpx2: 5 s) and proxies (nginx: 60 s) keep it."""


def run(settings: Settings) -> None:
    """Serve until a signal ends it; turns under way are finished first.

    Raises:
        UserError: something in the settings that does not exist or does not fit; an address that is taken.
    """
    gc.disable()  # until all is loaded: see `Warmth`
    try:
        _run(settings)
    finally:
        gc.enable()


def _run(settings: Settings) -> None:
    try:
        for package in ("fastapi", "limits", "prometheus_client", "structlog"):
            importlib.import_module(package)
        import uvicorn
    except ImportError as error:
        raise UserError(
            f"The server needs the package {error.name}; install it: pip install 'latentcrs[serve]'"
        ) from None
    check(settings)
    _allow_connections()
    if settings.page and settings.workers > 1:  # a browser's next request would reach another process
        err_console.print("no page: it lives in one process; serve it by a server with --workers 1.", highlight=False)
        settings = settings.model_copy(update={"page": False})
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    err_console.print(f"serving {settings.bundle.name} at http://{shown}:{settings.port}", highlight=False)
    options = connections() | {"host": settings.host, "port": settings.port}
    options["timeout_graceful_shutdown"] = settings.shutdown_seconds
    if settings.workers == 1:
        from latentcrs.serve.app import create_app
        from latentcrs.serve.observe import log_as_json

        log_as_json(words=settings.log_words)
        uvicorn.run(create_app(settings), **options)
        return
    gc.enable()  # each worker does as `run` does
    counts = tempfile.mkdtemp(prefix="latentcrs-metrics-")
    os.environ |= {VARIABLE: settings.model_dump_json(), "PROMETHEUS_MULTIPROC_DIR": counts}
    try:
        uvicorn.run("latentcrs.serve.app:from_environment", factory=True, workers=settings.workers, **options)
    finally:
        shutil.rmtree(counts, ignore_errors=True)


def connections() -> dict[str, Any]:
    """What uvicorn is told of connections, wherever it listens."""
    from latentcrs.serve.arrival import PromptProtocol

    return {
        "http": PromptProtocol,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
    }


def check(settings: Settings) -> None:
    """Find what cannot work before anything is started.

    Raises:
        UserError: as `run`.
    """
    from latentcrs.llm import open_chat_model
    from latentcrs.serve.limits import Rates
    from latentcrs.serve.service import check_model

    read_manifest(settings.bundle)
    check_model(open_chat_model(settings.llm), settings.rules, settings.talks)
    if settings.keys_file is not None:
        if not Keys(settings.keys_file).names:
            raise UserError(f"{settings.keys_file} has no keys; make one with 'latentcrs keys new NAME'.")
    elif not is_loopback(settings.host) and not settings.insecure:
        raise UserError(
            f"Without keys everybody who reaches {settings.host} could read every conversation: give --keys-file "
            "(see 'latentcrs keys new --help'), stay at 127.0.0.1, or say --insecure-without-keys."
        )
    Rates(*settings.rates, settings.rates_url)
    ConversationStore(settings.db).close()
    _check_free(settings.host, settings.port)


def _allow_connections() -> None:
    """Let this process have as many connections as the system lets it: by default a thousand, and more would wait."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, OPEN_FILES)), most))


def _check_free(host: str, port: int) -> None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trying.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", "") or "it is no address of this machine"
        raise UserError(
            f"{host}:{port} cannot be listened at ({reason.lower()}); give another --port or --host."
        ) from None
