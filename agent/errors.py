"""The error tree: every failure that can reach a user, by whose fault it is.

    AgentError                      code, hint, exit status
    ├─ UsageError                   the command line                                   exit 2
    ├─ ConfigError                  the config file or a variable                      exit 3
    ├─ SetupError                   the machine, a node, a missing tool                exit 4
    ├─ ProtocolError                a peer broke its protocol                          exit 4
    │   ├─ RateLimited              come back later
    │   └─ Rejected                 a definite no: nothing was passed on
    ├─ OutcomeUnknown               may have been sent; reconcile, never blindly retry exit 7
    ├─ RiskRefused                  a normal answer of the risk core                   exit 5
    └─ Halted                       a breaker or the guard                             exit 6

Refusals and drops inside the core are values, not exceptions. Anything that is not an
AgentError and reaches the command line is our defect (exit 70).
"""

from __future__ import annotations


class AgentError(Exception):
    """One clear message: what happened, where, and what to do.

    `code` is a stable word for programs, `hint` says what to do about it.
    """

    code: str = "E_AGENT"
    exit_code: int = 70

    def __init__(self, message: str, *, code: str | None = None, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where
        if code is not None:
            self.code = code


class UsageError(AgentError):
    """The command line asks for something that makes no sense."""

    code = "E_USAGE"
    exit_code = 2


class ConfigError(AgentError):
    """A config file, variable or option holds a wrong value; the message lists every mistake."""

    code = "E_CONFIG"
    exit_code = 3


class SetupError(AgentError):
    """The environment cannot do what was asked: a missing tool, wrong chain, unreachable node."""

    code = "E_SETUP"
    exit_code = 4


class ProtocolError(AgentError):
    """A peer answered something its protocol does not allow. Mend or leave out that peer."""

    code = "E_PROTOCOL"
    exit_code = 4

    def __init__(
        self, message: str, *, peer: str = "", method: str = "", code: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, code=code, hint=hint, where=" ".join(filter(None, (peer, method))))
        self.peer = peer
        self.method = method


class RateLimited(ProtocolError):
    """The peer asks us to slow down; wait `retry_after_ms` before the same request."""

    code = "E_RATE_LIMITED"

    def __init__(self, message: str, *, retry_after_ms: int, peer: str = "", method: str = "") -> None:
        super().__init__(message, peer=peer, method=method)
        self.retry_after_ms = retry_after_ms


class Rejected(ProtocolError):
    """A definite no: the peer passed nothing on. The same bytes will be refused again."""

    code = "E_REJECTED"


class OutcomeUnknown(AgentError):
    """The request may have been accepted; read the truth before anything else is sent."""

    code = "E_OUTCOME_UNKNOWN"
    exit_code = 7


class RiskRefused(AgentError):
    """The risk core said no: `used` of `cap` in `limit` would have been passed."""

    code = "E_RISK_REFUSED"
    exit_code = 5

    def __init__(
        self, message: str, *, limit: str, used: int, cap: int, code: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.limit = limit
        self.used = used
        self.cap = cap


class Halted(AgentError):
    """A breaker or the guard has stopped the agent; only a person at a terminal resets it."""

    code = "E_HALTED"
    exit_code = 6
