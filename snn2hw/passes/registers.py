"""What registers and sums must hold, whoever made the integers."""

from __future__ import annotations

from snn2hw.errors import TargetError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import largest_sums

ACCUMULATOR_MAX = (1 << 31) - 1


def check_registers(net: FixedPointNetwork) -> None:
    """TargetError where a parameter is outside its register or a sum could pass 32 bits."""
    for layer in net.layers:
        for param in layer.model.params:
            values = layer.params[param.name]
            if values.min() < param.low or values.max() > param.high:
                raise TargetError(
                    f"layer {layer.name!r}: {param.name} spans {values.min()}..{values.max()} and "
                    f"the register holds {param.low}..{param.high}"
                )
        worst: dict[str, float] = {}
        for synapse in net.into(layer.name):
            largest = net.message_range(synapse.source, synapse.source_port)
            sums = largest_sums(synapse.map, largest) * 2.0 ** max(synapse.exponent, 0)
            for k, port in enumerate(synapse.target_ports):
                part = sums[k * layer.n : (k + 1) * layer.n]
                worst[port] = worst.get(port, 0.0) + float(part.max(initial=0.0))
        for port, value in worst.items():
            if value > ACCUMULATOR_MAX:
                raise TargetError(
                    f"layer {layer.name!r}: the sum at port {port} could reach {value:.3g}, beyond "
                    "32 bits; use narrower messages or fewer inputs"
                )
