"""`mev-agent capture`: a block of an archive node becomes a case file."""

from __future__ import annotations

from agent.devnet.capture import capture as capture_block
from agent.requests import Answer, CaptureRequest, Say
from agent.session.loop import run_loop


def capture(request: CaptureRequest, say: Say) -> Answer:
    """Write the file, and say on what evidence."""
    captured = run_loop(capture_block(request.block, request.rpc_url, request.out, say=say))
    evidence = "proved against the parent's state root" if captured.is_proved else "checked by replaying the block"
    return Answer(
        data={
            "path": str(captured.path),
            "block": captured.case.number,
            "transactions": len(captured.case.transactions),
            "accounts": len(captured.case.accounts),
            "is_traced": captured.is_traced,
            "is_proved": captured.is_proved,
            "resumed": captured.resumed,
        },
        text=f"wrote {captured.path}: block {captured.case.number}, state {evidence}",
    )
