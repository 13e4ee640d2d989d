"""What each code means and what to do: the source of `explain` and of docs/reference/codes.md.

`E_` an error, `D_` a drop (a decision not to act), `R_` a refusal of risk. A code is never reused for another thing.
"""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    """One code in two sentences."""

    meaning: str
    remedy: str


CODES: dict[str, Page] = {
    "E_AGENT": Page("An error without a more exact code.", "Read the message; run again with --debug and report it."),
    "E_CONFIG": Page(
        "The configuration holds one or more mistakes; all are listed.",
        "Correct each at the line that is named, then run `mev-agent config check`.",
    ),
    "E_DEFECT": Page("mev-agent itself is wrong.", "Report it with the crash file whose path is printed."),
    "E_HALTED": Page("A breaker or the guard has stopped the agent.", "Find out why, then let a person reset it."),
    "E_NOT_AVAILABLE": Page("This build has no such part.", "Update mev-agent, or leave the command out."),
    "E_OUTCOME_UNKNOWN": Page(
        "What was sent may have been accepted.",
        "Read the truth from the chain or the venue before anything is sent again.",
    ),
    "E_PROTOCOL": Page("A peer answered what its protocol does not allow.", "Mend that peer or leave it out."),
    "E_RATE_LIMITED": Page("A peer asks us to slow down.", "Wait, or use an endpoint with a higher limit."),
    "E_REJECTED": Page(
        "A definite no: the peer passed nothing on.", "Correct the request; the same bytes are refused again."
    ),
    "E_RISK_REFUSED": Page(
        "A limit of the risk core would have been passed.", "Nothing, or have a person raise the limit."
    ),
    "E_SETUP": Page(
        "The machine or a node cannot do what was asked.", "Run `mev-agent doctor`; it says how to mend each finding."
    ),
    "E_USAGE": Page("The command line asks for something that makes no sense.", "Read the command's --help."),
}
