"""The Gated Parametric Neuron (GPN) of Wang, Zhang, Li and Wu, arXiv 2412.01087."""

from __future__ import annotations

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_real, check_sequence, check_size
from snn2hw.nn.surrogate import spike

GATE_ORDER = "FIBT"

# What stands in for a gate that an ablation removes, from the authors' ablation code
# (github.com/hrBCI/Gated-Parametric-Neuron-for-SNNs).
LEAK_WITHOUT_F_AND_I = 0.5
THRESHOLD_WITHOUT_T = 1.0


class GPN(nn.Module):
    """A layer of gated parametric neurons.

    Per step, for input current x and the potential v of the step before::

        a = W [v; x] + b                          rows of a: F, I, B, T
        F, I, T = sigmoid(a_F, a_I, a_T);  B = tanh(a_B)
        h = F v + I x
        s = Theta(h - T)                          Theta(u) = 1 for u >= 0
        v = (1 - s) h + s v_reset + B             s detached: no gradient through the reset

    In training v_reset is drawn once a sequence from N(0, v_reset_std^2) for each sample and
    neuron, and v starts from it; in evaluation both are 0. The state does not outlive the call.

    The gates are one dense ``Linear`` named `gates`, weight (k N, 2 N) and bias (k N,) for k kept
    gates, rows in the order F, I, B, T and columns v then x, which is the authors' layout, so that
    their weights load as they are. A removed gate is replaced thus: without F and I,
    h = 0.5 v + 0.5 x; without I, h = F v + (1 - F) x; without F alone, h = (1 - I) v + I x (not in
    the paper, ours by symmetry); without T, the threshold is 1; without B, nothing is added.

    Sources: the equations and the authors' code (github.com/hrje123/hr-GPN-SNN, core/neurons.py).

    Args:
        n_neurons: neurons of the layer.
        gates: the gates to keep, letters of "FIBT"; "" removes them all (`gates` is then None).
        v_reset_std: standard deviation of the reset noise in training, in the units of v.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(self, n_neurons: int, gates: str = GATE_ORDER, v_reset_std: float = 0.05) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.n_neurons = check_size(n_neurons, "n_neurons", "GPN")
        if (
            not isinstance(gates, str)
            or set(gates) - set(GATE_ORDER)
            or len(set(gates)) < len(gates)
        ):
            raise ParameterError(
                f'GPN: gates is {gates!r}, give each letter of "{GATE_ORDER}" at most once'
            )
        self.v_reset_std = check_real(v_reset_std, "v_reset_std", "GPN")
        if self.v_reset_std < 0:
            raise ParameterError(f"GPN: v_reset_std is {v_reset_std!r}, give 0 or more")
        self.gate_names = "".join(gate for gate in GATE_ORDER if gate in gates)
        self.gates = (
            nn.Linear(2 * n_neurons, len(self.gate_names) * n_neurons) if self.gate_names else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the spikes.

        Args:
            x: input current, float (batch, time, n_neurons).

        Returns:
            Spikes 0 or 1 in x's dtype, (batch, time, n_neurons).

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        return self.trace(x)[0]

    def trace(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the spikes and the states of every step.

        Args:
            x: as for `forward`.

        Returns:
            Spikes as from `forward`, and {"v": potential after the step, reset and bypass
            included}, of the same shape.

        Raises:
            DataError: as for `forward`.
        """
        check_sequence(x, self.n_neurons, f"GPN({self.n_neurons})")
        v = self._reset_value(x[:, 0])
        reset = v
        from_v, drives = self._split_gates(x)
        spikes, states = [], []
        for current, drive in zip(x.unbind(1), drives, strict=True):
            gate = self._gate_values(v, from_v, drive)
            h = self._integrate(v, current, gate)
            s = spike(h - gate.get("T", THRESHOLD_WITHOUT_T))
            v = torch.where(s.detach() > 0, reset, h)
            if "B" in gate:
                v = v + gate["B"]
            spikes.append(s)
            states.append(v)
        return torch.stack(spikes, 1), {"v": torch.stack(states, 1)}

    def _reset_value(self, like: torch.Tensor) -> torch.Tensor:
        if self.training and self.v_reset_std > 0:
            return torch.randn_like(like) * self.v_reset_std
        return torch.zeros_like(like)

    def _split_gates(
        self, x: torch.Tensor
    ) -> tuple[torch.Tensor | None, tuple[torch.Tensor | None, ...]]:
        """Return W_v transposed, and W_x x + b of every step.

        The x-part needs no state, so one product serves all steps; and W_v is cut out once, for
        the gradient of a cut is a full matrix of zeros around it.
        """
        if self.gates is None:
            return None, (None,) * x.shape[1]
        from_v, from_x = self.gates.weight.chunk(2, 1)
        drive = nn.functional.linear(x, from_x, self.gates.bias)
        return from_v.t(), drive.unbind(1)

    def _gate_values(
        self, v: torch.Tensor, from_v: torch.Tensor | None, drive: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        if from_v is None or drive is None:
            return {}
        parts = torch.addmm(drive, v, from_v).chunk(len(self.gate_names), 1)
        return {
            name: torch.tanh(a) if name == "B" else torch.sigmoid(a)
            for name, a in zip(self.gate_names, parts, strict=True)
        }

    def _integrate(
        self, v: torch.Tensor, x: torch.Tensor, gate: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        forget, accept = gate.get("F"), gate.get("I")
        if forget is not None and accept is not None:
            return forget * v + accept * x
        if forget is not None:
            return forget * v + (1 - forget) * x
        if accept is not None:
            return (1 - accept) * v + accept * x
        return LEAK_WITHOUT_F_AND_I * v + (1 - LEAK_WITHOUT_F_AND_I) * x

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        return f'{self.n_neurons}, gates="{self.gate_names}", v_reset_std={self.v_reset_std}'
