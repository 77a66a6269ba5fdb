"""PilotNet-LIF's bill for one inference of 16 steps, beside what Intel measured on a Loihi 2.

The measured figures (1.0935 mJ dynamic, 74 cores) are those of lava-dl's pilotnet_snn benchmark
notebook. Counts are averages over the 24 recorded steps, times 16.
"""

from __future__ import annotations

import numpy as np
from common import Bench
from pilotnet import netx_data

from snn2hw.energy import estimate
from snn2hw.energy.profile import profile_names
from snn2hw.targets.place import place

INFERENCE, MEASURED_J, MEASURED_CORES = 16, 1.0935e-3, 74


def main() -> None:
    try:
        recorded = netx_data.pilotnet()
    except FileNotFoundError as error:
        print(f"pilotnet_bill: left out ({error})")
        return
    bench = Bench("pilotnet_bill", inference=INFERENCE, measured_j=MEASURED_J)
    net, run = netx_data.run_from_image(recorded)
    steps = run.activity.by_step
    # On the chip the image is a bias and no message, so its synapses are left out.
    each = sum(s.synops_nonzero[0] for s in steps.synapses if s.source != "input")
    updates = sum(layer.updates[0, :INFERENCE].sum() for layer in steps.layers)
    plan = place(net, "loihi2", run=run)
    bench.add({"synops": INFERENCE * np.mean(each), "updates": int(updates)})
    print(
        f"{updates:,} neuron updates, {INFERENCE * np.mean(each) / 1e6:.2f} M synaptic operations"
    )
    print(f"{len(plan.cores)} cores of Loihi 2 (Intel's compiler: {MEASURED_CORES})")
    for name in profile_names():
        if name == "spinnaker2":
            continue
        for placed in (None, plan):
            bill = estimate(run, name, net, placed)
            energy = bill.priced_j * INFERENCE / bill.steps
            row = {"profile": name, "placed": placed is not None, "energy_j": energy}
            bench.add(row)
            where = "placed" if placed else "unplaced"
            print(
                f"{name}, {where}: {energy * 1e3:.3f} mJ ({energy / MEASURED_J:.2f} times measured)"
            )
    bench.write()


if __name__ == "__main__":
    main()
