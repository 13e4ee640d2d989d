"""Breaker 1: what a UTC day may lose, realised and not, fees and funding included.

The loss is measured from the last valid value before midnight, open positions included: a position that is carried
over the night, or through a stop, loses on the day on which it is seen. A deposit is no profit and does not widen the
limit; a withdrawal is no loss and narrows it. A restart changes nothing. Once tripped it stays so, over midnight too,
until a person resets it on a later day.
"""

from __future__ import annotations

import msgspec

from agent.core.risk.profiles import PPM


class DayLoss(msgspec.Struct, kw_only=True):
    """Amounts in atoms of the account's currency."""

    nav_start_atoms: int | None = None
    """The day's start value; None until there was a first one."""
    nav_atoms: int | None = None
    """The latest value, guesses included."""
    nav_valid_atoms: int | None = None
    """The latest value that was no guess: the next day starts from it."""
    deposits_atoms: int = 0
    withdrawals_atoms: int = 0
    """Of this day; both are positive."""
    tripped_day: int | None = None
    """The UTC day of the trip, while it holds."""

    @property
    def loss_atoms(self) -> int:
        """Lost today; negative is a gain. 0 before the first value."""
        if self.nav_start_atoms is None or self.nav_atoms is None:
            return 0
        return self.nav_start_atoms + self.deposits_atoms - self.withdrawals_atoms - self.nav_atoms

    @property
    def base_atoms(self) -> int:
        """What the limit is a share of: the start value less withdrawals."""
        return (self.nav_start_atoms or 0) - self.withdrawals_atoms

    @property
    def nav_ref_atoms(self) -> int:
        """Reference for position and notional limits: profit of the day does not widen them, a loss narrows them."""
        if self.nav_start_atoms is None or self.nav_atoms is None:
            return 0
        return min(self.nav_start_atoms + self.deposits_atoms - self.withdrawals_atoms, self.nav_atoms)

    def figures_atoms(self) -> tuple[int, int, int]:
        """`nav_ref_atoms`, `loss_atoms` and `base_atoms`, which every order asks for together."""
        start_atoms, nav_atoms = self.nav_start_atoms, self.nav_atoms
        if start_atoms is None or nav_atoms is None:
            return 0, 0, (start_atoms or 0) - self.withdrawals_atoms
        base_atoms = start_atoms - self.withdrawals_atoms
        with_flows_atoms = base_atoms + self.deposits_atoms
        ref_atoms = with_flows_atoms if with_flows_atoms < nav_atoms else nav_atoms
        return ref_atoms, with_flows_atoms - nav_atoms, base_atoms

    def limit_atoms(self, limit_ppm: int) -> int:
        """The loss at which it trips, rounded up to the atom: one less does not."""
        return -(-limit_ppm * self.base_atoms // PPM)

    def on_nav(self, nav_atoms: int, is_valid: bool, limit_ppm: int, day: int) -> bool:
        """Take a value. True where it trips now."""
        self.nav_atoms = nav_atoms
        if is_valid:
            self.nav_valid_atoms = nav_atoms
            if self.nav_start_atoms is None:
                self.nav_start_atoms = nav_atoms
        if self.tripped_day is not None or self.nav_start_atoms is None:
            return False
        loss_atoms = self.loss_atoms
        if loss_atoms <= 0 or loss_atoms * PPM < limit_ppm * self.base_atoms:
            return False
        self.tripped_day = day
        return True

    def on_flow(self, atoms: int) -> None:
        """Money that came (+) or went (-); the latest values move with it."""
        if atoms > 0:
            self.deposits_atoms += atoms
        else:
            self.withdrawals_atoms -= atoms
        if self.nav_atoms is not None:
            self.nav_atoms += atoms
        if self.nav_valid_atoms is not None:
            self.nav_valid_atoms += atoms

    def on_day(self) -> None:
        """A new day begins: from the last valid value, with no flows."""
        if self.nav_valid_atoms is not None:
            self.nav_start_atoms = self.nav_valid_atoms
        self.deposits_atoms = self.withdrawals_atoms = 0

    def reset(self) -> None:
        """Arm it again."""
        self.tripped_day = None
