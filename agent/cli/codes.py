"""What each code means and what to do: the source of `explain` and of docs/reference/codes.md.

`E_` is an error and stands here; `D_` is a drop (a decision not to act) and `R_` a refusal of the risk core, which
`agent.core.codes` explains where they are decided. A code is never reused for another thing.
"""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    """One code in two sentences."""

    meaning: str
    remedy: str


DEFECT = "This is a defect of ours unless the machine ran out of memory or disk; report it with the crash file."
SETUP = "Run `make setup` and `mev-agent doctor`."

ERRORS: dict[str, Page] = {
    "E_AGENT": Page("An error without a more exact code.", "Read the message; run again with --debug and report it."),
    "E_ANVIL_DIED": Page("The devnet's anvil ended while it was needed.", "Free memory, then run again."),
    "E_ANVIL_START": Page("anvil did not start.", "The message quotes it; `mev-agent doctor` checks the version."),
    "E_BUNDLE_NOT_EXPRESSIBLE": Page(
        "A relay's dialect has no word for a field of this bundle, and leaving the field out would change its meaning.",
        "Nothing is sent to that relay; use one that knows the field, or do without it.",
    ),
    "E_CAPTURE_REPLAY": Page(
        "The block could not be replayed on what the archive node gave, so nothing was written.",
        "Give the same command again; if it repeats, the node lacks state: use another archive node.",
    ),
    "E_CAPTURE_UNPROVED": Page(
        "The captured block does not replay to its header's receipts root, so nothing was written.",
        "The node's state may be pruned or wrong: use another archive node.",
    ),
    "E_CASE": Page(
        "A case file is truncated, garbled or contradicts itself.", "Fetch it again, or capture the block anew."
    ),
    "E_CHAIN_ID": Page(
        "A node is on another chain than the work needs.", "Name another node, or correct onchain.chain_id."
    ),
    "E_CONFIG": Page(
        "The configuration holds one or more mistakes; all are listed.",
        "Correct each at the line that is named, then run `mev-agent config check`.",
    ),
    "E_DEFECT": Page("mev-agent itself is wrong.", "Report it with the crash file whose path is printed."),
    "E_DRILL": Page(
        "The agent of a drill did not come so far as to trade.",
        "The message quotes its last words; run `mev-agent run` at the simulated venue first.",
    ),
    "E_ENDPOINT_NOT_PRIVATE": Page(
        "An endpoint would carry bundles unencrypted over a network.",
        "Use https; plain http is for this machine alone.",
    ),
    "E_DISK": Page("A file could not be written.", "Make room, or choose another place; what was read is kept."),
    "E_EXECUTOR_CODE": Page(
        "The code at the executor's address is not what was built.",
        "Do not use that contract; deploy again, or correct onchain.executor.",
    ),
    "E_GUARD_REFUSES": Page(
        "The guard does not watch this run: it is halted, watches another, or still looks for what one left.",
        "`mev-agent status` shows which; after a halt a person resets it.",
    ),
    "E_NOT_HEARD": Page(
        "A command was left for a running agent and none took it up, so it was taken back.",
        "See with `mev-agent status` whether the run still goes, and name its folder by `--run`. To stop it all the same: "
        "`mev-agent halt`.",
    ),
    "E_HALT_UNVERIFIED": Page(
        "Everything was told to stop, and nobody has read yet that it did.",
        "`mev-agent status` goes on asking; where no guard runs, start one with `mev-agent guard run`.",
    ),
    "E_HALTED": Page("A breaker or the guard has stopped the agent.", "Find out why, then let a person reset it."),
    "E_JOURNAL_CODE": Page(
        "Other code wrote the journal, and its run did not end in good order.",
        "Start the version that wrote it and stop it; any version starts from what it leaves at the end.",
    ),
    "E_JOURNAL_CORRUPT": Page(
        "A record of the journal fails its checksum.",
        "What stands before it is sound; keep the file and find the disk's fault.",
    ),
    "E_JOURNAL_DIVERGED": Page(
        "The core does not decide what the journal holds, so nothing is traded.",
        "Keep the journal and diverged.json beside it, and report both.",
    ),
    "E_JOURNAL_FORMAT": Page(
        "The journal has a version that this build does not read.", "Read it with the version that wrote it."
    ),
    "E_JOURNAL_IN_USE": Page("Another process writes the journal.", "Stop it first, or name another folder."),
    "E_JOURNAL_KIND": Page(
        "The journal holds an event or effect that this build does not know.",
        "Read it with the version that wrote it.",
    ),
    "E_JOURNAL_POISONED": Page(
        "The journal could not be written, so nothing more may be sent.", "Make room on the disk, then start a new run."
    ),
    "E_JOURNAL_RECORD": Page(
        "An event is longer than a record of the journal may be.", "Report it: no event should be that long."
    ),
    "E_JOURNAL_ROOM": Page(
        "The disk has less free room than a run needs.", "Make room, or name a folder on another disk."
    ),
    "E_KEYSTORE": Page(
        "A keystore is missing, is none, or does not open with the password.", "Check the file's name and the password."
    ),
    "E_KEYSTORE_MODE": Page("Other users of this machine may read a keystore.", "Run `chmod 600` on the file."),
    "E_CORE_STOPPED": Page(
        "The core or its journal failed earlier in this run, so nothing is decided any more.",
        "Start again; the journal's last records and the crash file have the reason.",
    ),
    "E_NO_BLOCK": Page("The node does not have the block.", "Wait until it is synced that far, or name another block."),
    "E_NOT_AVAILABLE": Page("This build has no such part.", "Update mev-agent, or leave the command out."),
    "E_NO_GUARD": Page(
        "An order could be placed, and no guard watches.",
        "Start one with `mev-agent guard run`; the line names its folder.",
    ),
    "E_OLD_BLOCK": Page(
        "The block is older than London, which this agent does not know.", "Choose one from 12965000 on."
    ),
    "E_OUTCOME_UNKNOWN": Page(
        "What was sent may have been accepted.",
        "Read the truth from the chain or the venue before anything is sent again.",
    ),
    "E_PACKAGE_MISSING": Page("A package of protocol contracts is not installed.", "Run `make tools`."),
    "E_PACKAGE_VERSION": Page(
        "A package of protocol contracts is not the one that the slice was made for.", "Run `make tools`."
    ),
    "E_PORT": Page("No port could be opened on the loopback.", "Allow sockets on 127.0.0.1."),
    "E_PORT_IN_USE": Page(
        "Another program listens on the port that was asked for.", "Choose another, or leave the option out."
    ),
    "E_PROTOCOL": Page("A peer answered what its protocol does not allow.", "Mend that peer or leave it out."),
    "E_RATE_LIMITED": Page("A peer asks us to slow down.", "Wait, or use an endpoint with a higher limit."),
    "E_REJECTED": Page(
        "A definite no: the peer passed nothing on.", "Correct the request; the same bytes are refused again."
    ),
    "E_RELAY_KEY_IS_TRADING_KEY": Page(
        "The relay identity is the trading key, so every request would tie the two together.", "Use two keys."
    ),
    "E_RELAY_SIGNATURE": Page("A request to the relay carries a wrong signature.", "Sign the exact bytes of the body."),
    "E_REPLACEMENT_ID_WITHDRAWN": Page(
        "A bundle under this replacement id was cancelled; the id is spent.", "Send under a new id."
    ),
    "E_REPLAY_INCOMPLETE": Page(
        "Not every transaction of a case could be replayed, for state that the case lacks.", "Capture the block anew."
    ),
    "E_REPLAY_ORDER": Page("anvil mined a case's transactions in another order.", DEFECT),
    "E_RESET_REFUSED": Page(
        "A halt is reset by a person alone, and only when everything was seen to stand still.",
        "Type the word that is asked for, at a terminal; let the guard finish first.",
    ),
    "E_RISK_REFUSED": Page(
        "A limit of the risk core would have been passed.", "Nothing, or have a person raise the limit."
    ),
    "E_RPC": Page("A node answered a call with an error.", "The message quotes it; check the node and what was asked."),
    "E_SEQUENCE_TOO_LOW": Page(
        "A replacement carries a lower sequence number than the bundle it is to replace.", "Count upwards."
    ),
    "E_SETUP": Page(
        "The machine or a node cannot do what was asked.", "Run `mev-agent doctor`; it says how to mend each finding."
    ),
    "E_SLICE_CALL": Page("A call failed while the slice was planted.", DEFECT),
    "E_SLICE_EXISTS": Page("The slice can only be planted on an empty chain.", "Start a fresh anvil."),
    "E_SLICE_POOL": Page("A factory of the slice put a pool at another address than on mainnet.", SETUP),
    "E_SLICE_TABLE": Page("The table of the slice's figures contradicts itself.", "Restore it from git."),
    "E_SNAPSHOT": Page("anvil lost a snapshot of the chain's state.", DEFECT),
    "E_TOOL_MISSING": Page("A tool of Foundry is missing or has another version.", "Run `make tools`."),
    "E_USAGE": Page("The command line asks for something that makes no sense.", "Read the command's --help."),
    "E_WRONG_CHAIN": Page(
        "A node is on another chain than the work needs.", "Name another node, or correct onchain.chain_id."
    ),
}


def pages() -> dict[str, Page]:
    """Every code with its page."""
    from agent.core.codes import EXPLANATIONS

    decision = "Nothing: it is a decision, and every report counts it."
    refusal = "Nothing, or have a person raise the limit under [risk]."
    decided = {
        str(code): Page(meaning, refusal if str(code).startswith("R_") else decision)
        for code, meaning in EXPLANATIONS.items()
    }
    decided["R_LAST_GUARD"] = Page(
        decided["R_LAST_GUARD"].meaning,
        "Report it with its detail; raise the cap under [last_guard] only where the transaction was right.",
    )
    return ERRORS | decided
