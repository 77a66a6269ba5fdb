"""All benchmarks, one after the other; each prints its figures and writes benchmarks/results/.

What a benchmark needs and does not find (data, lava-dl's wheel, frameworks) it leaves out, saying
so.
"""

import accuracy
import activity
import energy
import eprop_speed
import frameworks
import gates
import gpn_size
import pilotnet_bill
import qat
import quantize
import scaling
import speed

if __name__ == "__main__":
    # The clock before torch comes in: its idle threads slow their neighbours down.
    scaling.main()
    eprop_speed.main()
    activity.main()
    gates.main()
    gpn_size.main([])
    energy.main()
    pilotnet_bill.main()
    quantize.main()
    qat.main()
    frameworks.main()
    speed.main()
    accuracy.main()
