"""What can be wrong with a request beside its content: each has an HTTP status of its own."""

from latentcrs.base.errors import UserError


class ServiceError(UserError):
    """A request that is refused. status: as HTTP answers it; a plain `UserError` is a 422."""

    status = 422


class NotFound(ServiceError):
    """There is no such thing, or it is another owner's: nobody can tell which."""

    status = 404


class Conflict(ServiceError):
    """The conversation went on elsewhere, or there is one of this name."""

    status = 409


class Gone(ServiceError):
    """Whoever asked has gone; nobody reads this."""

    status = 408


class TooSlow(ServiceError):
    """Something that takes longer than is waited for."""

    status = 504


class TooMany(ServiceError):
    """More than is allowed or possible just now. retry_after: seconds after which it may work."""

    status = 429

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
