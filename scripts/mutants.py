"""Break the executor in one place at a time and see that the tests notice.

    python scripts/mutants.py                all mutants, cancun build (minutes)
    python scripts/mutants.py --quick        every eighth one
    python scripts/mutants.py NAME...        the named ones

Each mutant is one replacement of a text that occurs exactly once. A mutant is killed when the suite fails against it;
one that does not compile is an error of this file. Sources are copied, the checkout is never touched.
A survivor means a missing test, or a line that does nothing and should go.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from build_contracts import environment, forge  # noqa: E402

UNIT_TESTS = "ExecutorTest|HostileTest"
INVARIANTS = "ThiefInvariants"
EXECUTOR = "contracts/src/Executor.sol"
ROLES = "contracts/src/Roles.sol"
TOKENS = "contracts/src/libraries/TokenLib.sol"
POOLS = "contracts/src/libraries/PoolLib.sol"
PLANS = "contracts/src/libraries/PlanLib.sol"


class Mutant(NamedTuple):
    """One wrong executor."""

    name: str
    path: str
    old: str
    new: str


MUTANTS = (
    Mutant("anyone-runs", EXECUTOR, "if (!isOperator[msg.sender]) revert NotOperator(msg.sender);", ""),
    Mutant("runs-while-halted", EXECUTOR, "if (slot >> 160 != 0) revert IsHalted();", ""),
    Mutant(
        "gross-may-be-negative",
        EXECUTOR,
        "if (afterwards < before) revert BalanceFell(token, before, afterwards);\n        uint256 net;",
        "uint256 net;",
    ),
    Mutant("floor-ignored", EXECUTOR, "if (net < head.floorAmount()) revert", "if (false) revert"),
    Mutant(
        "floor-before-payment",
        EXECUTOR,
        "if (net < head.floorAmount()) revert",
        "if (gross < head.floorAmount()) revert",
    ),
    Mutant(
        "floor-off-by-one", EXECUTOR, "if (net < head.floorAmount()) revert", "if (net + 1 < head.floorAmount()) revert"
    ),
    Mutant("share-above-the-whole", EXECUTOR, "if (bps > BPS) revert PaymentNotPossible(bps);", ""),
    Mutant("share-of-10001", EXECUTOR, "BPS = 10_000", "BPS = 10_001"),
    Mutant("payment-kept-by-vault", EXECUTOR, "net -= payment;", ""),
    Mutant("profit-stays-here", EXECUTOR, "TokenLib.transfer(token, vault_, net);", ""),
    Mutant(
        "profit-to-the-caller",
        EXECUTOR,
        "TokenLib.transfer(token, vault_, net);",
        "TokenLib.transfer(token, msg.sender, net);",
    ),
    Mutant(
        "vault-takes-inventory",
        EXECUTOR,
        "TokenLib.transfer(token, vault_, net);",
        "TokenLib.transfer(token, vault_, net + before);",
    ),
    Mutant(
        "token-tax-unseen",
        EXECUTOR,
        "if (head.namesStartToken()) _requireNotBelow(token, before);\n        else if",
        "if",
    ),
    Mutant("never-pays", EXECUTOR, "else if (payment != 0) _pay(payment);", ""),
    Mutant("payment-may-fail", EXECUTOR, "if (!isDone) revert PaymentRefused(block.coinbase, payment);", ""),
    Mutant("payment-takes-all-gas", EXECUTOR, "call(PAYMENT_GAS, coinbase()", "call(gas(), coinbase()"),
    Mutant("callback-while-idle", EXECUTOR, "if (expected <= Lock.IDLE) revert UnexpectedCallback(msg.sender);", ""),
    Mutant(
        "callback-of-anyone",
        EXECUTOR,
        "if (PlanLib.expectation(content, length, msg.sender, label) != expected) revert UnexpectedCallback(msg.sender);",
        "",
    ),
    Mutant("callback-twice", EXECUTOR, "        Lock.write(Lock.IDLE);\n\n        Leg leg", "        Leg leg"),
    Mutant(
        "callback-not-required",
        EXECUTOR,
        "if (Lock.read() != Lock.IDLE) revert NoCallback(pool);",
        "Lock.write(Lock.IDLE);",
    ),
    Mutant("caller-not-in-the-hash", PLANS, "shl(96, pool_))", "0)"),
    Mutant(
        "bytes-not-in-the-hash", PLANS, "keccak256(inMemory, add(length, 20))", "keccak256(add(inMemory, length), 20)"
    ),
    Mutant("owed-not-compared", EXECUTOR, "if (isV3Style) _requirePlannedAmountOwed(leg);", ""),
    Mutant("owed-of-the-wrong-token", EXECUTOR, "mul(32, iszero(zeroForOne))", "mul(32, zeroForOne)"),
    Mutant("late-blocks", EXECUTOR, "if (block.number > head.lastBlock()) revert", "if (false) revert"),
    Mutant(
        "last-block-excluded",
        EXECUTOR,
        "if (block.number > head.lastBlock()) revert",
        "if (block.number >= head.lastBlock()) revert",
    ),
    Mutant("any-parent", EXECUTOR, "if (head.hasParentHash() && blockhash", "if (false && blockhash"),
    Mutant("any-start-token", EXECUTOR, "if (!isToken[token]) revert TokenNotListed(token);", ""),
    Mutant(
        "pays-out-of-any-token",
        EXECUTOR,
        "if (head.paymentBps() != 0) revert PaymentNotPossible(head.paymentBps());",
        "",
    ),
    Mutant("any-pool", EXECUTOR, ": !isPool[pool]) {", ": false) {"),
    Mutant("any-factory", EXECUTOR, "? !PoolLib.isFromFactory(factories, pool, isV3Style) :", "? false :"),
    Mutant(
        "unregistered-factory", POOLS, "if (initCodeHash == 0) return false;", "if (initCodeHash == 0) return true;"
    ),
    Mutant("address-not-compared", POOLS, "return address(uint160(uint256(derived))) == pool;", "return derived != 0;"),
    Mutant(
        "middle-token-unguarded",
        EXECUTOR,
        "plan.leg(head.lender()));\n        _requireNotBelow(token, before);",
        "plan.leg(head.lender()));",
    ),
    Mutant("v3-leg-behind-the-lender", EXECUTOR, "if (leg.isV3()) revert MalformedPlan();", ""),
    Mutant("ether-from-anyone", EXECUTOR, "if (msg.sender != WETH) revert EtherRefused(msg.sender);", ""),
    Mutant("false-is-true", TOKENS, "eq(mload(0x00), 1)", "1"),
    Mutant("any-answer-is-true", TOKENS, "or(isTrue, iszero(returndatasize()))", "1"),
    Mutant("nothing-is-false", TOKENS, "or(isTrue, iszero(returndatasize()))", "isTrue"),
    Mutant(
        "transfer-may-fail",
        TOKENS,
        "let isDone := call(gas(), token, 0, 0x00, 0x44, 0x00, 0x20)",
        "let isDone := or(1, call(gas(), token, 0, 0x00, 0x44, 0x00, 0x20))",
    ),
    Mutant(
        "short-answer-is-a-balance",
        TOKENS,
        "if iszero(and(gt(returndatasize(), 31), staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20))) {",
        "if iszero(staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)) {",
    ),
    Mutant("reason-of-any-length", POOLS, "if gt(length, 0x100) { length := 0x100 }", ""),
    Mutant(
        "pool-may-fail",
        POOLS,
        "if iszero(call(gas(), pool, 0, call_, sub(end, call_), 0, 0)) {",
        "if iszero(or(1, call(gas(), pool, 0, call_, sub(end, call_), 0, 0))) {",
    ),
    Mutant("owner-of-everyone", ROLES, "if (msg.sender != owner) revert NotOwner(msg.sender);", ""),
    Mutant(
        "owner-in-one-step",
        ROLES,
        "pendingOwner = pendingOwner_;",
        "pendingOwner = pendingOwner_;\n        owner = pendingOwner_;",
    ),
    Mutant("anyone-accepts", ROLES, "if (msg.sender != pendingOwner) revert NotPendingOwner(msg.sender);", ""),
    Mutant("name-not-used-up", ROLES, "pendingOwner = address(0);", ""),
    Mutant(
        "anyone-halts", ROLES, "if (msg.sender != guardian && msg.sender != owner) revert NotGuardian(msg.sender);", ""
    ),
    Mutant(
        "owner-cannot-halt",
        ROLES,
        "if (msg.sender != guardian && msg.sender != owner) revert",
        "if (msg.sender != guardian) revert",
    ),
    Mutant("halt-does-nothing", ROLES, "isHalted = true;", ""),
    Mutant("guardian-unhalts", ROLES, "function unhalt() external onlyOwner {", "function unhalt() external {"),
    Mutant(
        "anyone-sweeps",
        ROLES,
        "function sweep(address token) external onlyOwner {",
        "function sweep(address token) external {",
    ),
    Mutant("anyone-lists", ROLES, "bool isListed) external onlyOwner {", "bool isListed) external {"),
    Mutant("vault-of-zero", ROLES, "if (vault_ == address(0)) revert ZeroAddress();", ""),
)


def read_sources() -> dict[str, str]:
    """The contract sources by path."""
    return {path: (ROOT / path).read_text() for path in {mutant.path for mutant in MUTANTS}}


def check() -> None:
    """Every mutant's text must occur exactly once, or it tests nothing."""
    sources = read_sources()
    wrong = [m.name for m in MUTANTS if sources[m.path].count(m.old) != 1 or m.old == m.new]
    if wrong or len({m.name for m in MUTANTS}) != len(MUTANTS):
        raise SystemExit(f"these mutants do not fit the sources any more: {', '.join(wrong)}")


def prepare(place: Path) -> None:
    """A copy of the contracts that shares the npm packages and the tests' compiled output."""
    shutil.copytree(ROOT / "contracts", place / "contracts", ignore=shutil.ignore_patterns("cache-a*", "out-a*"))
    shutil.copy2(ROOT / "foundry.toml", place / "foundry.toml")
    (place / "node_modules").symlink_to(ROOT / "node_modules")


def build(place: Path) -> subprocess.CompletedProcess[str]:
    """The executor of the copy, by the quick compiler pipeline: the laws hold for the source, and only gas differs."""
    variables = {**environment("default"), "FOUNDRY_VIA_IR": "false", "FOUNDRY_OPTIMIZER_RUNS": "1"}
    return subprocess.run([forge(), "build"], cwd=place, env=variables, capture_output=True, text=True)


def passes(place: Path, contracts: str) -> bool:
    """True if these test contracts pass against what was built."""
    variables = {**environment("suite"), "FOUNDRY_FUZZ_RUNS": "64", "FOUNDRY_INVARIANT_RUNS": "24"}
    command = [forge(), "test", "--fail-fast", "--match-contract", contracts]
    return subprocess.run(command, cwd=place, env=variables, capture_output=True).returncode == 0


def is_killed(place: Path, mutant: Mutant) -> bool:
    """True if the suite fails against the mutant; the copy is whole again afterwards."""
    source = place / mutant.path
    whole = source.read_text()
    source.write_text(whole.replace(mutant.old, mutant.new))
    try:
        built = build(place)
        if built.returncode != 0:
            raise SystemExit(f"{mutant.name} does not compile:\n{built.stdout}{built.stderr}")
        # Unit tests first: most mutants die there, and the thief takes seconds.
        return not (passes(place, UNIT_TESTS) and passes(place, INVARIANTS))
    finally:
        source.write_text(whole)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every eighth mutant")
    parser.add_argument("names", nargs="*", help="only these")
    chosen = parser.parse_args()
    check()
    mutants = [m for m in MUTANTS if not chosen.names or m.name in chosen.names]
    if chosen.quick:
        mutants = mutants[::8]
    survivors = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place)
        if build(place).returncode != 0 or not passes(place, UNIT_TESTS) or not passes(place, INVARIANTS):
            raise SystemExit("the suite fails without any mutant; run scripts/test_contracts.py")
        for mutant in mutants:
            killed = is_killed(place, mutant)
            sys.stdout.write(f"{'killed  ' if killed else 'SURVIVED'} {mutant.name}\n")
            sys.stdout.flush()
            if not killed:
                survivors.append(mutant.name)
    seconds = int(time.monotonic() - started)
    sys.stdout.write(f"{len(mutants) - len(survivors)} of {len(mutants)} killed in {seconds} s\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
